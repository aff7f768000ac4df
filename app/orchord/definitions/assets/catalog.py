"""All assets of a code location together: who makes which, what only is read, and what is wrong with them as a set.

Mistakes are listed, not raised: Definitions reports them with its own. Jobs over the assets are in job.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.spec import AssetSpec
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.origin import at
from orchord.definitions.types import Nothing
from orchord.errors import did_you_mean


class Maker(NamedTuple):
    """What makes an asset, and as which output."""

    definition: AssetsDefinition
    output_name: str


class AssetCatalog:
    """The assets of a code location.

    Attributes:
        definitions: what makes assets, in the order given.
        sources: assets that are only read.
        makers: what makes each asset.
        graph: all of them, and their edges.
        mistakes: what is wrong with them as a set, one sentence each.
    """

    def __init__(self, assets: Iterable[Any]) -> None:
        self.mistakes: list[str] = []
        self.definitions: list[AssetsDefinition] = []
        self.sources: list[SourceAsset] = []
        seen: set[int] = set()
        for item in _flat(assets):
            # The same object twice (a list and a module that holds it) is one asset, not two of one key.
            if id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, AssetsDefinition):
                self.definitions.append(item)
            elif isinstance(item, AssetSpec):
                self.sources.append(SourceAsset.from_spec(item))
            elif isinstance(item, SourceAsset):
                self.sources.append(item)
            else:
                self.mistakes.append(
                    f"assets= holds {_shown(item)}, which is no asset. Give functions under @asset, AssetSpecs or lists"
                    " of them."
                )
        self._drop_doubles()
        self._connect_by_name()
        self.makers: dict[AssetKey, Maker] = {
            key: Maker(definition, name)
            for definition in self.definitions
            for name, key in definition.keys_by_output_name.items()
        }
        self.source_by_key = {source.key: source for source in self.sources}
        self.graph = AssetGraph.from_definitions([*self.definitions, *(source.spec for source in self.sources)])
        self.mistakes += self._unknown_inputs()
        self.mistakes += self._same_names()
        cycle = self.graph.cycle()
        self.has_cycle = bool(cycle)
        if cycle:
            path = " -> ".join(key.to_user_string() for key in cycle)
            origin = self.makers[cycle[0]].definition.origin if cycle[0] in self.makers else ""
            self.mistakes.append(at(origin, f"assets depend on each other in a cycle: {path}"))

    def io_manager_key_of(self, key: AssetKey) -> str:
        """Return the resource that stores or loads an asset."""
        if key in self.makers:
            return self.makers[key].definition.io_manager_key_of(key)
        source = self.source_by_key.get(key)
        return source.io_manager_key if source is not None else DEFAULT_IO_MANAGER_KEY

    def resource_defs(self) -> dict[str, Any]:
        """Return the resources that assets bring themselves, and note keys that mean different things."""
        found: dict[str, Any] = {}
        brought = [*(item.resource_defs for item in self.definitions), *(item.resource_defs for item in self.sources)]
        for resources in brought:
            for key, resource in resources.items():
                earlier = found.setdefault(key, resource)
                if earlier.identity is not resource.identity:
                    self.mistakes.append(
                        f"assets bring two different resources under the key '{key}': give one of them another key"
                    )
        return found

    def spec_of(self, key: AssetKey) -> AssetSpec:
        """Return what is known of an asset; for one that is merely mentioned, its key."""
        if key in self.makers:
            return self.makers[key].definition.specs_by_key[key]
        return self.source_by_key[key].spec if key in self.source_by_key else AssetSpec(key)

    def _drop_doubles(self) -> None:
        """Note assets that are defined twice, and leave the later definition out, so that the rest can be checked."""
        first: dict[AssetKey, str] = {}
        kept: list[AssetsDefinition] = []
        for definition in self.definitions:
            doubles = [key for key in definition.specs_by_key if key in first]
            for key in doubles:
                places = " and ".join(place for place in (first[key], definition.origin) if place)
                self.mistakes.append(
                    f"two assets have the key '{key.to_user_string()}'{f' ({places})' if places else ''}: rename one of"
                    " them, or give it a key_prefix"
                )
            if not doubles:
                kept.append(definition)
                first.update(dict.fromkeys(definition.specs_by_key, definition.origin))
        self.definitions = kept
        sources: dict[AssetKey, SourceAsset] = {}
        for source in self.sources:
            if source.key in first:
                self.mistakes.append(
                    f"the asset '{source.key.to_user_string()}' is both made here{_place(first[source.key])} and listed"
                    " as external: remove the AssetSpec or SourceAsset"
                )
            elif source.key in sources:
                self.mistakes.append(f"the external asset '{source.key.to_user_string()}' is listed twice")
            else:
                sources[source.key] = source
        self.sources = list(sources.values())

    def _connect_by_name(self) -> None:
        """Let an input of one part read the asset of that name in its own group, when no asset has the key itself.

        So a parameter ``orders`` finds the asset ``["shop", "orders"]``, if it is the only one of that name there.
        """
        known = {key for definition in self.definitions for key in definition.specs_by_key}
        known |= {source.key for source in self.sources}
        by_name: dict[tuple[str, str], list[AssetKey]] = {}
        for definition in self.definitions:
            for spec in definition.specs:
                by_name.setdefault((spec.group, spec.key.path[-1]), []).append(spec.key)
        for source in self.sources:
            by_name.setdefault((source.group_name, source.key.path[-1]), []).append(source.key)
        for index, definition in enumerate(self.definitions):
            open_keys = [
                key for key in definition.keys_by_input_name.values() if key not in known and len(key.path) == 1
            ]
            groups = {spec.group for spec in definition.specs}
            replacements: dict[AssetKey, AssetKey] = {}
            for key in open_keys:
                found = [match for group in groups for match in by_name.get((group, key.path[0]), ())]
                found = [match for match in found if match not in definition.specs_by_key]
                if len(found) == 1:
                    replacements[key] = found[0]
            if replacements:
                self.definitions[index] = definition.with_attributes(asset_key_replacements=replacements)

    def _unknown_inputs(self) -> list[str]:
        """Return a sentence for each parameter that would load an asset that nobody describes."""
        known = set(self.makers) | set(self.source_by_key)
        mistakes = []
        for definition in self.definitions:
            for name, key in definition.keys_by_input_name.items():
                if key in known or _only_orders(definition, name):
                    continue
                what = f"'{definition.node_def.name}' loads the asset '{key.to_user_string()}', which does not exist."
                hint = did_you_mean(key.to_user_string(), (one.to_user_string() for one in known))
                fix = " List an AssetSpec for it, if it is made elsewhere."
                mistakes.append(at(definition.origin, f"{what}{hint}{fix}"))
        return mistakes

    def _same_names(self) -> list[str]:
        """Return a sentence for each two definitions whose ops have one name: it is a step's key, and must be one."""
        first: dict[str, AssetsDefinition] = {}
        mistakes = []
        for definition in self.definitions:
            earlier = first.setdefault(definition.node_def.name, definition)
            if earlier is definition or earlier.node_def is definition.node_def:
                continue
            keys = [next(iter(one.specs_by_key)).to_user_string() for one in (earlier, definition)]
            places = " and ".join(one.origin for one in (earlier, definition) if one.origin)
            mistakes.append(
                f"the assets '{keys[0]}' and '{keys[1]}'{f' ({places})' if places else ''} have ops of the same name"
                f" '{definition.node_def.name}': rename one of the functions, or give it name="
            )
        return mistakes


def _only_orders(definition: AssetsDefinition, input_name: str) -> bool:
    types = definition.node_def.input_types(input_name)
    return bool(types) and all(type_ is Nothing for type_ in types)


def _flat(assets: Iterable[Any]) -> Iterable[Any]:
    for item in assets:
        if isinstance(item, (list, tuple, set, frozenset)):
            yield from _flat(item)
        elif isinstance(item, Mapping):
            yield from _flat(item.values())
        else:
            yield item


def _place(origin: str) -> str:
    return f" ({origin})" if origin else ""


def _shown(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 80 else f"{text[:77]}..."
