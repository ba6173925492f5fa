from tests.lambdas.teach.conftest import stage

__all__ = ["stage"]
"""The fixture, which is that of what teaches."""
