"""Merging layers of settings, the strongest last: mappings deeply, lists joined, single values replaced.

Which layers there are is launching/layering.py; what keys mean is the platforms' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the layers as one. None in a stronger layer leaves what a weaker one says."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = _onto(result, layer)
    return result


def _onto(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(weaker)
    for key, value in stronger.items():
        below = result.get(key)
        if value is None:
            result.setdefault(key, None)
        elif isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _onto(below, value)
        elif isinstance(below, list | tuple) and isinstance(value, list | tuple):
            result[key] = [*below, *(item for item in value if item not in below)]
        else:
            result[key] = value
    return result
