"""The field names of Kubernetes: snake_case or camelCase in, camelCase out, and unknown names refused by the path.

The names are those of the client library's models. What the fields mean, and how settings are merged, is
pod_settings.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchord.spi import did_you_mean
from orchord_workers.containers.kubernetes_client import client_library

_LIST = re.compile(r"(?:list|List)\[(.*)\]$")
_MAPPING = re.compile(r"(?:dict|Dict)[\[(]\s*str\s*,\s*(.*)[\])]$")


def named_as_api(model: str, given: Any, path: str, mistakes: list[str]) -> dict[str, Any]:
    """Return a mapping with the names that the Kubernetes API reads.

    Args:
        model: the model that it is, such as ``V1PodSpec``.
        given: names in snake_case or camelCase. Keys of maps (labels, nodeSelector, limits) stay as they are.
        path: where it stands, for mistakes.
        mistakes: what is wrong is added here; values are never shown, they may be secret.
    """
    if not isinstance(given, Mapping):
        mistakes.append(f"{path}: found {type(given).__name__}, expected a mapping.")
        return {}
    fields = _fields(model)
    named: dict[str, Any] = {}
    for key, value in given.items():
        field = fields.get(str(key))
        if field is None:
            mistakes.append(f"{path}: unknown key '{key}'.{did_you_mean(str(key), fields)}")
            continue
        name, kind = field
        if name in named:
            mistakes.append(f"{path}: '{key}' is given twice, in both spellings. Keep one.")
            continue
        named[name] = _value(kind, value, f"{path}.{key}", mistakes)
    return named


def api_names(model: str, keys: Iterable[str], path: str, mistakes: list[str]) -> set[str]:
    """Return names of a model's fields, in either spelling, as the Kubernetes API reads them."""
    fields = _fields(model)
    mistakes += [f"{path}: unknown key '{key}'.{did_you_mean(key, fields)}" for key in keys if key not in fields]
    return {fields[key][0] for key in keys if key in fields}


def _value(kind: str, value: Any, path: str, mistakes: list[str]) -> Any:
    if value is None:
        return None
    if found := _LIST.match(kind):
        if isinstance(value, str) or not isinstance(value, Sequence):
            mistakes.append(f"{path}: found {type(value).__name__}, expected a list.")
            return []
        return [_value(found[1], item, f"{path}[{number}]", mistakes) for number, item in enumerate(value)]
    if found := _MAPPING.match(kind):
        if not isinstance(value, Mapping):
            mistakes.append(f"{path}: found {type(value).__name__}, expected a mapping.")
            return {}
        return {str(key): _value(found[1], item, f"{path}.{key}", mistakes) for key, item in value.items()}
    if kind == "str" and isinstance(value, int | float) and not isinstance(value, bool):
        # YAML reads `cpu: 2` as a number; the API takes text there.
        return str(value)
    return named_as_api(kind, value, path, mistakes) if _fields(kind) else value


@functools.lru_cache(maxsize=256)
def _fields(model: str) -> Mapping[str, tuple[str, str]]:
    """Return, by either spelling, a field's name in the API and its type; empty for what is no model."""
    found: Any = getattr(client_library().client, model, None)
    names: Mapping[str, str] | None = getattr(found, "attribute_map", None)
    if names is None:
        return {}
    types: Mapping[str, str] = found.openapi_types
    return {spelling: (name, types[snake]) for snake, name in names.items() for spelling in (snake, name)}
