"""Tags and names of definitions: what they may look like, and how values that are not text become text.

What a tag means is with whoever reads it (the launcher, the run queue, the monitor).
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from orchord.errors import InvalidDefinitionError, numbered

_NAME = re.compile(r"^[A-Za-z0-9_]+$")


def name_mistakes(kind: str, name: object) -> list[str]:
    """Return what is wrong with the name of an op, graph, job, input or output: nothing, or one sentence."""
    if not isinstance(name, str):
        return [f"the name of {kind} must be text, not {name!r}"]
    if not _NAME.match(name):
        return [f"{kind} cannot be named {name!r}: use letters, digits and underscores only"]
    if keyword.iskeyword(name):
        return [f"{kind} cannot be named {name!r}: that is a keyword of Python"]
    return []


def normalized_tags(tags: Mapping[str, Any] | None, owner: str) -> dict[str, str]:
    """Return tags with text values: text as it is, other values as JSON.

    Args:
        tags: what the user gave.
        owner: whose tags they are, for the error.

    Raises:
        InvalidDefinitionError: keys are not text, or values cannot be written as JSON; all are listed.
    """
    result: dict[str, str] = {}
    mistakes: list[str] = []
    if tags is not None and not isinstance(tags, Mapping):
        raise InvalidDefinitionError(f"Tags of {owner} cannot be used: they are {tags!r}. Give a dict.")
    for key, value in (tags or {}).items():
        if not isinstance(key, str) or not key:
            mistakes.append(f"the tag key {key!r} is not text")
            continue
        if isinstance(value, str):
            result[key] = value
            continue
        try:
            result[key] = json.dumps(value, sort_keys=True)
        except (TypeError, ValueError):
            mistakes.append(f"the value of tag '{key}' ({value!r}) is neither text nor JSON")
    if mistakes:
        raise InvalidDefinitionError(numbered(f"Tags of {owner} cannot be used", mistakes))
    return result
