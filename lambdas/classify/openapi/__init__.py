"""The OpenAPI 3.1 description of the API: a pure function of the contract and the route table."""

from lambdas.classify.openapi.document import document

__all__ = ["document"]
