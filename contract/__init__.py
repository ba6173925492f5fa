"""What the API, the containers, the stacks and the command line agree on: the only definition of every request, answer,
limit, setting and error. It imports nothing but the standard library and pydantic.
"""
