"""torch, without what it imports last and takes longest for: Python's account of the shapes that every operation has.

It is for who traces operations instead of computing them. A server's first second is worth more than that; who does
trace, or builds models without numbers first, as transformers does, calls `complete`.
"""

import importlib
import sys
from types import ModuleType

SHAPES = "torch._meta_registrations"

_nothing = ModuleType(SHAPES, "Stands for the module of this name.")


def begin() -> None:
    """Before torch is imported: without the shapes. Afterwards nothing happens."""
    if "torch" not in sys.modules:
        sys.modules[SHAPES] = _nothing


def complete() -> None:
    """torch as it is otherwise."""
    if sys.modules.get(SHAPES) is _nothing:
        del sys.modules[SHAPES]
        importlib.import_module(SHAPES)
