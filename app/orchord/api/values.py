"""Constrained values that requests are made of: texts that a database can hold, run ids, asset keys in URLs.

What whole bodies and queries look like is in models/; turning a failed constraint into an answer is in problems.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, WithJsonSchema

from orchord.definitions.asset_key import AssetKey
from orchord.errors import InvalidDefinitionError

#: The largest number that a 64-bit column holds; ids and offsets beyond it are mistakes, not queries.
MAX_INTEGER = 2**63 - 1
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ESCAPE = "/-"


def _run_id(text: str) -> str:
    if _UUID.fullmatch(text) is None:
        raise ValueError("Not a run id, which is a UUID such as 0190f3c1-5a7e-7b2c-9d4e-3f5a6b7c8d9e")
    return text.lower()


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("A time outside of the years 1 to 9999") from None


Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=255)]
LongText = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1_000_000)]
RowId = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
WaitSeconds = Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)]

RunId = Annotated[str, AfterValidator(_run_id), WithJsonSchema({"type": "string", "format": "uuid"})]


def asset_key_of_path(path: str) -> str | None:
    """Return the asset key that a URL's path names, or None when no asset can have it.

    A key whose last part is the name of a sub-resource is written with a last ``/-``, which is taken off once:
    ``/assets/a/materializations`` are the materializations of ``a``, ``/assets/a/materializations/-`` is a key.
    """
    text = path.removesuffix(_ESCAPE)
    return text if is_asset_key(text) else None


def is_asset_key(text: str) -> bool:
    """Whether a text is an asset key as ``AssetKey.to_user_string`` writes it."""
    try:
        return "\x00" not in text and AssetKey.from_user_string(text).to_user_string() == text
    except InvalidDefinitionError:
        return False


def asset_path(key: str) -> str:
    """Return how a key is written in a URL path, before percent-encoding."""
    last = key.rsplit("/", 1)[-1]
    return f"{key}{_ESCAPE}" if last in {"materializations", "-"} else key


def texts_with_nul(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every text, keys included, that holds a NUL character, which Postgres cannot store."""
    if isinstance(value, str):
        if "\x00" in value:
            yield path or "the body"
    elif isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if "\x00" in str(key):
                yield here.replace("\x00", "\\u0000")
            yield from texts_with_nul(inner, here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts_with_nul(inner, f"{path}[{index}]")
