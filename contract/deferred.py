"""What every model of the contract is: one of pydantic's, whose validator is made when it is first used.

A function imports a hundred models and uses a few: to make all of them took it a tenth of a second at every cold start.
Hence a constant that is one of them is made by `model_construct`, and a default by a factory: to validate it would make
its model's validator for functions that never need it.
"""

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

_making = threading.RLock()


class Deferred(BaseModel):
    """Threads may use a model for the first time together: pydantic itself lets them make it beside each other, which
    can fail (https://github.com/pydantic/pydantic/issues/13419).
    """

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """As pydantic's, one after another."""
        with _making:
            return super().model_rebuild(**options)
