"""`@transform`: a plain function becomes a transform, and stays a plain function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from .call import Transform, read_transform
from .errors import SignatureError

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__tandem_transform__"


def transform(function: F) -> F:
    """Makes a transform of a function from a row to features.

    The function's types say what it takes and gives: `def features(row: Purchase) -> Features`, or, with parameters,
    `def features(row: Purchase, settings: Settings) -> Features`. Rows and features are dataclasses or NamedTuples, parameters a dataclass.
    The function itself is given back, unchanged: tests and notebooks call it.

    Types that cannot be columns, and names that the runtime keeps for itself, are a `SignatureError` here.
    """
    names = dict(sys._getframe(1).f_locals)
    setattr(function, MARK, read_transform(function, names))
    return function


def transform_of(function: Callable[..., Any]) -> Transform:
    """What the decorator found out about a function."""
    found = getattr(function, MARK, None)
    if not isinstance(found, Transform):
        raise SignatureError(f"{getattr(function, '__qualname__', function)} is not marked with @transform")
    return found


def transform_in(module: ModuleType) -> Transform:
    """The transform of a module, of which there is exactly one."""
    found = {id(value): value for value in vars(module).values() if isinstance(getattr(value, MARK, None), Transform)}
    if len(found) != 1:
        names = ", ".join(value.__qualname__ for value in found.values())
        what = f"{len(found)} functions marked with @transform ({names})" if found else "no function marked with @transform"
        raise SignatureError(f"the module `{module.__name__}` has {what}; a component has exactly one")
    (function,) = found.values()
    return transform_of(function)
