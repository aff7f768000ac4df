"""The annotations of users' functions, resolved, also where they are texts that name what stands in a function.

What a signature says as a whole is inference.py.
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

_UNRESOLVABLE = (NameError, AttributeError, TypeError, ValueError, SyntaxError, KeyError, ImportError)


def type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations, resolved. Those that cannot be resolved stay the text they are.

    Names are looked up in the function's module, and, for functions that stand in other functions, in the frames that
    are defining it.
    """
    plain = plain_function(function)
    try:
        return typing.get_type_hints(plain, include_extras=True)
    except _UNRESOLVABLE:
        pass
    hints: dict[str, Any] = {}
    names = getattr(plain, "__globals__", {})
    scopes = _defining_scopes()
    for name, annotation in getattr(plain, "__annotations__", {}).items():
        hints[name] = _resolved(annotation, names, scopes) if isinstance(annotation, str) else annotation
    return {name: type(None) if hint is None else hint for name, hint in hints.items()}


def _resolved(annotation: str, names: dict[str, Any], scopes: list[Mapping[str, Any]]) -> Any:
    for scope in ({}, *scopes):
        try:
            return eval(annotation, names, dict(scope))
        except _UNRESOLVABLE:
            continue
    return annotation


def _defining_scopes() -> list[Mapping[str, Any]]:
    """Return the local names of the functions on the stack, nearest first: what a local annotation may refer to."""
    scopes: list[Mapping[str, Any]] = []
    frame = sys._getframe(1)
    while frame.f_back is not None and len(scopes) < 5:
        frame = frame.f_back
        if not frame.f_globals.get("__name__", "").startswith("orchord.definitions"):
            scopes.append(frame.f_locals)
    return scopes


def plain_function(function: Callable[..., Any]) -> Any:
    """Take wrappers off; of an object that can be called, return the method that is called."""
    plain: Any = inspect.unwrap(function)
    if isinstance(plain, functools.partial):
        return plain_function(plain.func)
    return plain if inspect.isroutine(plain) else type(plain).__call__
