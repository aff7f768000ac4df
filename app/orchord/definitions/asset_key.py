"""The name of an asset: a path of parts, such as ``["warehouse", "orders"]``.

Here is the key alone, and what may stand for one in users' code. What is known of an asset is in assets/spec.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from orchord.errors import InvalidDefinitionError

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.definitions.assets.external import SourceAsset
    from orchord.definitions.assets.spec import AssetDep, AssetSpec

_NOT_IDENTIFIER = re.compile(r"[^A-Za-z0-9_]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_USER_STRING_PART = re.compile(r"(?:\\.|\\$|[^/\\])*", re.DOTALL)


class AssetKey:
    """The name of an asset.

    Args:
        path: the parts, first the most general; a plain string is a key of one part.

    Raises:
        InvalidDefinitionError: the path is empty, or a part is not a non-empty string.
    """

    __slots__ = ("_hash", "path")

    path: tuple[str, ...]

    def __init__(self, path: str | Sequence[str]) -> None:
        parts = (path,) if isinstance(path, str) else tuple(path)
        if not parts or not all(isinstance(part, str) and part for part in parts):
            raise InvalidDefinitionError(
                f"An asset key is a non-empty string or a list of them, not {path!r}."
                " Write AssetKey(['schema', 'table'])."
            )
        object.__setattr__(self, "path", parts)
        object.__setattr__(self, "_hash", hash(parts))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"AssetKey is immutable; '{name}' cannot be set.")

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined,no-any-return]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AssetKey):
            return self.path == other.path
        return NotImplemented

    def __lt__(self, other: AssetKey) -> bool:
        return self.path < other.path

    def __le__(self, other: AssetKey) -> bool:
        return self.path <= other.path

    def __repr__(self) -> str:
        return f"AssetKey({list(self.path)!r})"

    def __str__(self) -> str:
        return self.to_user_string()

    def __reduce__(self) -> tuple[type[AssetKey], tuple[tuple[str, ...]]]:
        return AssetKey, (self.path,)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, as ``path``."""
        return self.path

    def to_user_string(self) -> str:
        r"""Return the parts joined by ``/``, as shown and stored. A ``/`` within a part is written ``\/``."""
        if any("/" in part or "\\" in part for part in self.path):
            return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in self.path)
        return "/".join(self.path)

    def to_python_identifier(self, suffix: str | None = None) -> str:
        """Return a name that an op or an output may bear: parts joined by ``__``, other characters as ``_``."""
        parts = [*self.path, suffix] if suffix else self.path
        return _NOT_IDENTIFIER.sub("_", "__".join(parts))

    def has_prefix(self, prefix: Sequence[str]) -> bool:
        """Whether the first parts are these."""
        return self.path[: len(prefix)] == tuple(prefix)

    def with_prefix(self, prefix: str | Sequence[str]) -> AssetKey:
        """Return the key with parts put before its own."""
        return AssetKey((*prefix_parts(prefix), *self.path))

    @classmethod
    def from_user_string(cls, text: str) -> AssetKey:
        """Return the key that ``to_user_string`` wrote."""
        if "\\" not in text:
            return cls(text.split("/"))
        parts, position = [], 0
        while position <= len(text):
            match = _USER_STRING_PART.match(text, position)
            assert match is not None
            parts.append(_ESCAPED.sub(r"\1", match.group()))
            position = match.end() + 1
        return cls(parts)

    @classmethod
    def from_coercible(cls, value: CoercibleToAssetKey) -> AssetKey:
        """Return the key that a string (one part), a list of parts or a definition stands for.

        Raises:
            InvalidDefinitionError: the value stands for no key, or for several.
        """
        if isinstance(value, AssetKey):
            return value
        if isinstance(value, str):
            return cls(value)
        key = getattr(value, "key", None)
        if isinstance(key, AssetKey):
            return key
        if isinstance(value, (list, tuple)):
            return cls(value)
        asset = getattr(value, "asset", None)
        if isinstance(asset, AssetKey):
            return asset
        raise InvalidDefinitionError(
            f"{value!r} does not stand for an asset."
            " Give an AssetKey, a string, a list of strings, an asset or an AssetSpec."
        )


CoercibleToAssetKey: TypeAlias = (
    "AssetKey | str | Sequence[str] | AssetsDefinition | AssetSpec | SourceAsset | AssetDep"
)
CoercibleToAssetKeyPrefix: TypeAlias = "str | Sequence[str]"


def prefix_parts(prefix: CoercibleToAssetKeyPrefix | None) -> tuple[str, ...]:
    """Return a key prefix as parts: a string is one part, None is no part."""
    if prefix is None:
        return ()
    return (prefix,) if isinstance(prefix, str) else tuple(prefix)


def user_strings(keys: Iterable[AssetKey]) -> list[str]:
    """Return the user strings of keys, sorted."""
    return sorted(key.to_user_string() for key in keys)
