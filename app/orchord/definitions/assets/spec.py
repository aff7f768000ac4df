"""What is known of an asset apart from how it is made (AssetSpec), and how assets name each other.

AssetDep, AssetIn and AssetOut are here too; all are frozen values. The definition that makes assets is in
definition.py, their graph in graph.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets.labels import (
    DEFAULT_GROUP_NAME,
    KIND_TAG_PREFIX,
    group_mistakes,
    kind_mistakes,
    kinds_in,
    owner_mistakes,
    tag_mistakes,
    with_kinds,
)
from orchord.errors import InvalidDefinitionError, numbered


class Unset:
    """The type of ``UNSET``: an argument that was not given, where None is a value."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET = Unset()


class AssetDep:
    """An asset that another one comes after, without loading it.

    Args:
        asset: the upstream asset: a key, a string, a definition or a spec.
        metadata: what to record of this edge.
    """

    __slots__ = ("asset_key", "metadata")

    def __init__(self, asset: CoercibleToAssetKey, *, metadata: Mapping[str, Any] | None = None) -> None:
        self.asset_key = AssetKey.from_coercible(asset)
        self.metadata = dict(metadata or {})

    @property
    def asset(self) -> AssetKey:
        """The upstream asset's key."""
        return self.asset_key

    @classmethod
    def from_coercible(cls, value: CoercibleToAssetDep) -> AssetDep:
        """Return the dependency that a key, string, definition, spec or AssetDep stands for."""
        return value if isinstance(value, AssetDep) else cls(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetDep) and self.asset_key == other.asset_key and self.metadata == other.metadata

    def __hash__(self) -> int:
        return hash(self.asset_key)

    def __repr__(self) -> str:
        return f"AssetDep({self.asset_key!r})"


CoercibleToAssetDep = Any


def deps_from(deps: Iterable[CoercibleToAssetDep] | None, where: str) -> tuple[AssetDep, ...]:
    """Return dependencies as AssetDeps; a definition of several assets stands for all of them.

    Raises:
        InvalidDefinitionError: something in the list stands for no asset.
    """
    if deps is None:
        return ()
    if isinstance(deps, (str, AssetKey)):
        raise InvalidDefinitionError(f"{where} has deps={deps!r}; give a list, such as deps=[{deps!r}].")
    result: dict[AssetKey, AssetDep] = {}
    mistakes: list[str] = []
    for dep in deps:
        several = getattr(dep, "keys", None)
        members = sorted(several) if isinstance(several, (set, frozenset)) else [dep]
        for member in members:
            try:
                one = AssetDep.from_coercible(member)
            except InvalidDefinitionError as error:
                mistakes.append(str(error))
                continue
            result.setdefault(one.asset_key, one)
    if mistakes:
        raise InvalidDefinitionError(numbered(f"{where} cannot be right", mistakes))
    return tuple(result.values())


@dataclass(frozen=True, init=False, eq=False)
class AssetSpec:
    """What is known of one asset, apart from how it is made. Alone in ``Definitions(assets=[...])``: an external asset.

    Args:
        key: the asset's key.
        deps: the assets that it is made from.
        description: what it is, in words (Markdown).
        metadata: labelled values.
        skippable: whether a step that could make it may leave it out.
        group_name: the group that it is shown in; default ``default``.
        code_version: a text that changes when the code that makes it changes its meaning.
        owners: e-mail addresses and ``team:<name>``.
        tags: labels to select and filter by.
        kinds: what it is made with, at most 10, such as ``{"python", "duckdb"}``; kept as tags.

    Raises:
        InvalidDefinitionError: with everything that is wrong with the arguments.
    """

    key: AssetKey
    deps: tuple[AssetDep, ...]
    description: str | None
    metadata: Mapping[str, Any]
    skippable: bool
    group_name: str | None
    code_version: str | None
    owners: tuple[str, ...]
    tags: Mapping[str, str]

    def __init__(
        self,
        key: CoercibleToAssetKey,
        *,
        deps: Iterable[CoercibleToAssetDep] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        skippable: bool = False,
        group_name: str | None = None,
        code_version: str | None = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> None:
        asset_key = AssetKey.from_coercible(key)
        where = f"Asset {asset_key.to_user_string()}"
        mistakes = spec_mistakes(where, tags=tags, kinds=kinds, owners=owners, group_name=group_name)
        if mistakes:
            raise InvalidDefinitionError(numbered(f"{where} cannot be right", mistakes))
        values = {
            "key": asset_key,
            "deps": deps_from(deps, where),
            "description": description,
            "metadata": dict(metadata or {}),
            "skippable": skippable,
            "group_name": group_name,
            "code_version": code_version,
            "owners": tuple(owners or ()),
            "tags": with_kinds(tags or {}, kinds),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds, read from the tags."""
        return kinds_in(self.tags)

    @property
    def plain_tags(self) -> dict[str, str]:
        """The tags that are not kinds."""
        return {name: value for name, value in self.tags.items() if not name.startswith(KIND_TAG_PREFIX)}

    @property
    def group(self) -> str:
        """The group's name, ``default`` when none was given."""
        return self.group_name or DEFAULT_GROUP_NAME

    def replace_attributes(self, **changes: Any) -> AssetSpec:
        """Return a copy in which the given attributes are these; takes the constructor's arguments.

        Raises:
            InvalidDefinitionError: an attribute is unknown, or its value is not valid.
        """
        known = ("key", "deps", "description", "metadata", "skippable", "group_name", "code_version", "owners", "tags")
        unknown = sorted(set(changes) - {*known, "kinds"})
        if unknown:
            raise InvalidDefinitionError(
                f"AssetSpec has no attribute {unknown[0]!r}. Known: {', '.join(known)}, kinds."
            )
        values: dict[str, Any] = {name: getattr(self, name) for name in known}
        values["kinds"] = self.kinds
        values["tags"] = self.plain_tags
        return AssetSpec(**{**values, **changes})

    def merge_attributes(
        self,
        *,
        deps: Iterable[CoercibleToAssetDep] = (),
        metadata: Mapping[str, Any] | None = None,
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] = (),
    ) -> AssetSpec:
        """Return a copy to which these are added; of metadata and tags with the same name, the new ones hold."""
        return self.replace_attributes(
            deps=[*self.deps, *deps],
            metadata={**self.metadata, **(metadata or {})},
            owners=[*self.owners, *(owner for owner in owners if owner not in self.owners)],
            tags={**self.plain_tags, **(tags or {})},
            kinds=self.kinds | set(kinds),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetSpec) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.key)


def spec_mistakes(
    where: str,
    *,
    tags: Mapping[str, Any] | None,
    kinds: Iterable[Any] | None,
    owners: Sequence[Any] | None,
    group_name: Any,
) -> list[str]:
    """Return all that is wrong with an asset's labels, one sentence each."""
    return [
        *tag_mistakes(tags, where),
        *kind_mistakes(kinds, where),
        *owner_mistakes(owners, where),
        *group_mistakes(group_name, where),
    ]


@dataclass(frozen=True)
class AssetIn:
    """Says which asset a parameter loads, and how.

    Args:
        key: the asset; default: the parameter's name, after ``key_prefix``.
        metadata: metadata of the input.
        key_prefix: parts put before the parameter's name.
        input_manager_key: the resource that loads the input instead of the asset's IO manager.
        dagster_type: the type that the value is checked against; ``Nothing`` loads nothing.
    """

    key: CoercibleToAssetKey | None = None
    metadata: Mapping[str, Any] | None = None
    key_prefix: CoercibleToAssetKeyPrefix | None = None
    input_manager_key: str | None = None
    dagster_type: Any = UNSET

    def __post_init__(self) -> None:
        if self.key is not None and self.key_prefix is not None:
            raise InvalidDefinitionError("AssetIn has both key and key_prefix; give one of them.")

    def key_for(self, parameter: str) -> AssetKey:
        """Return the asset that this parameter loads."""
        if self.key is not None:
            return AssetKey.from_coercible(self.key)
        return AssetKey((*prefix_parts(self.key_prefix), parameter))


@dataclass(frozen=True)
class AssetOut:
    """One asset of a ``@multi_asset``, given by ``outs={name: AssetOut(...)}``.

    Takes what AssetSpec takes, and: ``key_prefix`` (parts before the name, when no ``key`` is given), ``dagster_type``,
    ``is_required`` (whether the body must yield it), and ``io_manager_key`` (the resource that stores it).
    """

    key_prefix: CoercibleToAssetKeyPrefix | None = None
    key: CoercibleToAssetKey | None = None
    dagster_type: Any = UNSET
    description: str | None = None
    is_required: bool = True
    io_manager_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    group_name: str | None = None
    code_version: str | None = None
    owners: Sequence[str] | None = None
    tags: Mapping[str, str] | None = None
    kinds: Iterable[str] | None = None

    def __post_init__(self) -> None:
        if self.key is not None and self.key_prefix is not None:
            raise InvalidDefinitionError("AssetOut has both key and key_prefix; give one of them.")

    @classmethod
    def from_spec(
        cls, spec: AssetSpec, dagster_type: Any = UNSET, is_required: bool = True, io_manager_key: str | None = None
    ) -> AssetOut:
        """Return the output that makes the asset of a spec."""
        return cls(
            key=spec.key,
            dagster_type=dagster_type,
            description=spec.description,
            is_required=is_required,
            io_manager_key=io_manager_key,
            metadata=spec.metadata,
            group_name=spec.group_name,
            code_version=spec.code_version,
            owners=spec.owners,
            tags=spec.plain_tags,
            kinds=spec.kinds,
        )

    def with_prefix(self, prefix: CoercibleToAssetKeyPrefix | None) -> AssetOut:
        """Return a copy that has this prefix if it had neither key nor prefix."""
        if prefix is None or self.key is not None or self.key_prefix is not None:
            return self
        return replace(self, key_prefix=prefix)

    def to_spec(
        self,
        name: str,
        deps: Iterable[AssetDep] = (),
        group_name: str | None = None,
        code_version: str | None = None,
    ) -> AssetSpec:
        """Return what is known of the asset; ``name`` is the output's, group and code version hold if it has none."""
        key = AssetKey((*prefix_parts(self.key_prefix), name)) if self.key is None else self.key
        return AssetSpec(
            key,
            deps=deps,
            description=self.description,
            metadata=self.metadata,
            skippable=not self.is_required,
            group_name=self.group_name or group_name,
            code_version=self.code_version or code_version,
            owners=self.owners,
            tags=self.tags,
            kinds=self.kinds,
        )
