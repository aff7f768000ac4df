"""Rules for the labels of assets, jobs and runs: tags, kinds, owners and group names. Each mistake is one sentence.

Here are only the rules; definitions call them when they are made, and word them with the user's place in the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchord.errors import InvalidDefinitionError, numbered

KIND_TAG_PREFIX = "dagster/kind/"
MAX_KINDS = 10
DEFAULT_GROUP_NAME = "default"

_GROUP_NAME = re.compile(r"^[A-Za-z0-9_/]+$")
_TAG_KEY = re.compile(r"^([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_./ -]{1,63}$")
_TAG_VALUE = re.compile(r"^[A-Za-z0-9_.\- /:@=+]{0,255}$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_TEAM = re.compile(r"^team:[A-Za-z0-9_ .-]+$")


def tag_mistakes(tags: Mapping[str, Any] | None, where: str) -> list[str]:
    """Return one sentence for each tag whose key or value cannot be stored or filtered by."""
    mistakes = []
    for key, value in (tags or {}).items():
        if not isinstance(key, str) or not _TAG_KEY.match(key):
            mistakes.append(
                f"{where} has the tag key {key!r}; a key has at most 63 letters, digits, '_', '-', '.', '/'."
            )
        if not isinstance(value, str) or not _TAG_VALUE.match(value):
            mistakes.append(
                f"{where} has the tag {key!r} with the value {value!r}; a value is a string of at most 255 letters,"
                " digits, spaces and '_.-/:@=+'."
            )
    return mistakes


def checked_tags(tags: Mapping[str, Any] | None, where: str) -> dict[str, str]:
    """Return the tags as a new dict, or raise with all that is wrong with them."""
    mistakes = tag_mistakes(tags, where)
    if mistakes:
        raise InvalidDefinitionError(numbered("Tags are not valid", mistakes))
    return dict(tags or {})


def owner_mistakes(owners: Sequence[Any] | None, where: str) -> list[str]:
    """Return one sentence for each owner that is neither an e-mail address nor ``team:<name>``."""
    if isinstance(owners, str):
        return [f"{where} has owners={owners!r}; give a list, such as owners=[{owners!r}]."]
    return [
        f"{where} has the owner {owner!r}; an owner is an e-mail address or 'team:<name>'."
        for owner in owners or ()
        if not isinstance(owner, str) or not (_EMAIL.match(owner) or _TEAM.match(owner))
    ]


def group_mistakes(group_name: Any, where: str) -> list[str]:
    """Return a sentence if this cannot be the name of a group."""
    if group_name is None or (isinstance(group_name, str) and _GROUP_NAME.match(group_name)):
        return []
    return [f"{where} has group_name={group_name!r}; a group's name has only letters, digits, '_' and '/'."]


def kind_mistakes(kinds: Iterable[Any] | None, where: str) -> list[str]:
    """Return what is wrong with kinds: too many of them, or not strings."""
    if isinstance(kinds, str):
        return [f"{where} has kinds={kinds!r}; give a set, such as kinds={{{kinds!r}}}."]
    given = list(kinds or ())
    mistakes = [f"{where} has the kind {kind!r}; a kind is a non-empty string." for kind in given if not _is_kind(kind)]
    if len(set(map(str, given))) > MAX_KINDS:
        mistakes.append(f"{where} has {len(set(given))} kinds; at most {MAX_KINDS} are allowed.")
    return mistakes


def _is_kind(kind: Any) -> bool:
    return isinstance(kind, str) and bool(kind) and _TAG_KEY.match(kind) is not None


def with_kinds(tags: Mapping[str, str], kinds: Iterable[str] | None) -> dict[str, str]:
    """Return tags with a tag ``dagster/kind/<kind>`` for each kind."""
    return {**tags, **{f"{KIND_TAG_PREFIX}{kind}": "" for kind in sorted(set(kinds or ()))}}


def kinds_in(tags: Mapping[str, str]) -> frozenset[str]:
    """Return the kinds that tags hold."""
    return frozenset(key[len(KIND_TAG_PREFIX) :] for key in tags if key.startswith(KIND_TAG_PREFIX))
