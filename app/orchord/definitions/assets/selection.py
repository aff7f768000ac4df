"""AssetSelection: which assets, said by keys, groups, labels and places in the graph, and resolved later over a graph.

Selections are frozen values that are combined by ``|``, ``&`` and ``-``. What they are made of is in
selection_rules.py; their text form is read in selection_grammar.py, and written by ``str(selection)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, Union

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets import selection_rules as rules
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.selection_grammar import parse
from orchord.errors import InvalidSubsetError

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.definitions.assets.external import SourceAsset
    from orchord.definitions.assets.spec import AssetSpec

CoercibleToAssetSelection: TypeAlias = Union[
    "AssetSelection", str, AssetKey, "Sequence[str | AssetKey | AssetsDefinition]", "AssetsDefinition"
]


@dataclass(frozen=True)
class AssetSelection:
    """Some of the assets of a code location. Make one by the factories; combine them by ``|``, ``&`` and ``-``."""

    rule: rules.Rule

    @staticmethod
    def all(include_sources: bool = False) -> AssetSelection:
        """Every asset that can be made; with ``include_sources``, external assets too."""
        return AssetSelection(rules.AllAssets(include_sources))

    @staticmethod
    def empty() -> AssetSelection:
        """No asset."""
        return AssetSelection(rules.KeysOf(()))

    @staticmethod
    def assets(*assets_defs: CoercibleToAssetKey | AssetsDefinition) -> AssetSelection:
        """These assets: definitions, specs, keys, or strings. An unknown one is an error when resolved."""
        keys: list[AssetKey] = []
        for item in assets_defs:
            several = getattr(item, "keys", None)
            if isinstance(several, (set, frozenset)):
                keys += sorted(several)
            else:
                keys.append(AssetKey.from_coercible(item))
        return AssetSelection(rules.KeysOf(tuple(dict.fromkeys(keys))))

    @staticmethod
    def keys(*asset_keys: CoercibleToAssetKey) -> AssetSelection:
        """These assets, by key. ``assets`` does the same and takes definitions too."""
        return AssetSelection.assets(*asset_keys)

    @staticmethod
    def key_prefixes(*key_prefixes: CoercibleToAssetKeyPrefix, include_sources: bool = False) -> AssetSelection:
        """Assets whose key begins with any of these prefixes (a string is a prefix of one part)."""
        return AssetSelection(
            rules.KeyPrefixes(tuple(prefix_parts(prefix) for prefix in key_prefixes), include_sources)
        )

    @staticmethod
    def key_substring(key_substring: str, include_sources: bool = False) -> AssetSelection:
        """Assets whose key, as shown, contains this text."""
        return AssetSelection(rules.KeySubstring(key_substring, include_sources))

    @staticmethod
    def key_wildcard(pattern: str) -> AssetSelection:
        """Assets whose key, as shown, fits this pattern; ``*`` stands for any text."""
        return AssetSelection(rules.KeyWildcard(pattern))

    @staticmethod
    def groups(*group_strs: str, include_sources: bool = False) -> AssetSelection:
        """Assets of any of these groups."""
        return AssetSelection(rules.Groups(tuple(group_strs), include_sources))

    @staticmethod
    def tag(key: str, value: str, include_sources: bool = False) -> AssetSelection:
        """Assets that have this tag with this value."""
        return AssetSelection(rules.Tag(key, value, include_sources))

    @staticmethod
    def tag_string(string: str, include_sources: bool = False) -> AssetSelection:
        """Assets that have this tag, written ``key=value`` or ``key`` (with an empty value)."""
        key, _, value = string.partition("=")
        return AssetSelection(rules.Tag(key, value, include_sources))

    @staticmethod
    def kind(kind: str | None, include_sources: bool = False) -> AssetSelection:
        """Assets of this kind; None: those of no kind."""
        return AssetSelection(rules.Kind(kind, include_sources))

    @staticmethod
    def owner(owner: str | None) -> AssetSelection:
        """Assets that this owner has; None: those without an owner."""
        return AssetSelection(rules.Owner(owner))

    @classmethod
    def from_string(cls, string: str, include_sources: bool = False) -> AssetSelection:
        """Read a selection from text, such as ``group:numbers and not kind:python`` or ``+orders``.

        Raises:
            InvalidSubsetError: the text does not follow the grammar; the place is named.
        """
        return cls(parse(string, include_sources=include_sources))

    @classmethod
    def from_coercible(cls, selection: CoercibleToAssetSelection) -> AssetSelection:
        """Return the selection that a string, key, definition or a list of these stands for.

        A single string is read by the grammar; each string of a list too, and any of them selects.
        """
        if isinstance(selection, AssetSelection):
            return selection
        if isinstance(selection, str):
            return cls.from_string(selection)
        if isinstance(selection, Iterable):
            parts = tuple(cls.from_coercible(item).rule for item in selection)
            return cls(parts[0] if len(parts) == 1 else rules.Either(parts))
        return cls.assets(selection)

    def upstream(self, depth: int | None = None, include_self: bool = True) -> AssetSelection:
        """These assets and those that they depend on, at most ``depth`` edges away."""
        return AssetSelection(rules.Upstream(self.rule, depth, include_self))

    def downstream(
        self, depth: int | None = None, include_self: bool = True, include_asset_checks: bool = True
    ) -> AssetSelection:
        """These assets and those that depend on them, at most ``depth`` edges away."""
        return AssetSelection(rules.Downstream(self.rule, depth, include_self))

    def roots(self) -> AssetSelection:
        """Those of these assets that depend on none of these."""
        return AssetSelection(rules.Roots(self.rule))

    def sources(self) -> AssetSelection:
        """The same as ``roots``; the older name."""
        return AssetSelection(rules.Roots(self.rule))

    def sinks(self) -> AssetSelection:
        """Those of these assets on which none of these depends."""
        return AssetSelection(rules.Sinks(self.rule))

    def materializable(self) -> AssetSelection:
        """Those of these assets that something in the location makes."""
        return AssetSelection(rules.Materializable(self.rule))

    def upstream_source_assets(self) -> AssetSelection:
        """The external assets that these depend on directly."""
        return AssetSelection(rules.ParentSources(self.rule))

    def required_multi_asset_neighbors(self) -> AssetSelection:
        """These assets, and those that one step must make together with them."""
        return AssetSelection(rules.Neighbours(self.rule))

    def without_checks(self) -> AssetSelection:
        """These assets. Checks are not part of selections here."""
        return self

    def __or__(self, other: CoercibleToAssetSelection) -> AssetSelection:
        return AssetSelection(rules.Either((*self._members(rules.Either), *_coerced(other)._members(rules.Either))))

    def __and__(self, other: CoercibleToAssetSelection) -> AssetSelection:
        return AssetSelection(rules.Both((*self._members(rules.Both), *_coerced(other)._members(rules.Both))))

    def __sub__(self, other: CoercibleToAssetSelection) -> AssetSelection:
        return AssetSelection(rules.Without(self.rule, _coerced(other).rule))

    def __str__(self) -> str:
        return str(self.rule)

    def resolve(
        self, all_assets: AssetGraph | Iterable[AssetsDefinition | AssetSpec | SourceAsset], allow_missing: bool = False
    ) -> set[AssetKey]:
        """Return the keys that are selected.

        Args:
            all_assets: the graph, or the definitions that make one.
            allow_missing: drop keys that are not in the graph instead of raising.

        Raises:
            InvalidSubsetError: keys are named that do not exist, each with the nearest one that does.
        """
        graph = all_assets if isinstance(all_assets, AssetGraph) else AssetGraph.from_definitions(all_assets)
        notes = rules.Notes()
        chosen = self.rule.choose(graph, notes)
        if notes.mistakes and not allow_missing:
            raise InvalidSubsetError("The asset selection cannot be resolved", list(dict.fromkeys(notes.mistakes)))
        return chosen

    def resolve_to_make(self, graph: AssetGraph) -> set[AssetKey]:
        """Return the selected assets that can be made.

        Raises:
            InvalidSubsetError: the selection names unknown assets, or leaves nothing to make.
        """
        notes = rules.Notes()
        chosen = self.rule.choose(graph, notes) & graph.materializable_keys
        mistakes = list(dict.fromkeys(notes.mistakes))
        if not chosen and not mistakes:
            hints = " ".join(dict.fromkeys(notes.hints))
            mistakes = [f"'{self}' selects no asset that can be made{': ' + hints if hints else '.'}"]
        if mistakes:
            raise InvalidSubsetError("The asset selection cannot be resolved", mistakes)
        return chosen

    def _members(self, cls: type[rules.Either | rules.Both]) -> tuple[rules.Rule, ...]:
        return self.rule.members if isinstance(self.rule, cls) else (self.rule,)


_coerced = AssetSelection.from_coercible
