"""The graph of all assets of a code location: who depends on whom, and what each is labelled with.

It is built from definitions or, on a server, from a snapshot; selections are resolved over it. No code is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.assets.labels import DEFAULT_GROUP_NAME
from orchord.definitions.assets.spec import AssetSpec

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.snapshot import LocationSnapshot


@dataclass(frozen=True)
class AssetNode:
    """One asset as the graph knows it. ``neighbours`` are the assets that one step makes together with it."""

    key: AssetKey
    parents: tuple[AssetKey, ...] = ()
    group_name: str = DEFAULT_GROUP_NAME
    kinds: frozenset[str] = frozenset()
    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    description: str | None = None
    code_version: str | None = None
    is_materializable: bool = True
    neighbours: tuple[AssetKey, ...] = ()

    @property
    def parent_keys(self) -> frozenset[AssetKey]:
        """The assets that it depends on."""
        return frozenset(self.parents)

    @property
    def is_external(self) -> bool:
        """Whether nothing in the location makes it."""
        return not self.is_materializable


class AssetGraph:
    """Assets and the edges between them. A parent that nobody describes is there as an external asset."""

    def __init__(self, nodes: Iterable[AssetNode]) -> None:
        self.nodes: dict[AssetKey, AssetNode] = {node.key: node for node in nodes}
        for node in list(self.nodes.values()):
            for parent in node.parents:
                if parent not in self.nodes:
                    self.nodes[parent] = AssetNode(parent, is_materializable=False)

    @classmethod
    def from_definitions(cls, assets: Iterable[AssetsDefinition | AssetSpec | SourceAsset]) -> AssetGraph:
        """Build from definitions; specs alone are external assets."""
        nodes = []
        for item in assets:
            if isinstance(item, AssetSpec):
                nodes.append(_node(item, None, is_materializable=False))
            elif isinstance(item, SourceAsset):
                nodes.append(_node(item.spec, None, is_materializable=False))
            else:
                nodes += [_node(spec, item, is_materializable=True) for spec in item.specs_by_key.values()]
        return cls(nodes)

    @classmethod
    def from_snapshot(cls, snapshot: LocationSnapshot) -> AssetGraph:
        """Build from what a server knows of a location."""
        key_of = {asset.key: AssetKey.from_user_string(asset.key) for asset in snapshot.assets}
        return cls(
            AssetNode(
                key=key_of[asset.key],
                parents=tuple(key_of.get(dep) or AssetKey.from_user_string(dep) for dep in asset.deps),
                group_name=asset.group_name,
                kinds=frozenset(asset.kinds),
                owners=asset.owners,
                tags=asset.tags,
                description=asset.description,
                code_version=asset.code_version,
                is_materializable=asset.is_materializable,
                neighbours=tuple(key_of.get(key) or AssetKey.from_user_string(key) for key in asset.neighbours),
            )
            for asset in snapshot.assets
        )

    @property
    def keys(self) -> frozenset[AssetKey]:
        """Every asset, external ones too."""
        return frozenset(self.nodes)

    @cached_property
    def materializable_keys(self) -> frozenset[AssetKey]:
        """The assets that something here makes."""
        return frozenset(key for key, node in self.nodes.items() if node.is_materializable)

    @cached_property
    def external_keys(self) -> frozenset[AssetKey]:
        """The assets that nothing here makes."""
        return frozenset(self.nodes) - self.materializable_keys

    @cached_property
    def children_of(self) -> dict[AssetKey, tuple[AssetKey, ...]]:
        """For each asset, those that depend on it."""
        children: dict[AssetKey, list[AssetKey]] = {key: [] for key in self.nodes}
        for key, node in self.nodes.items():
            for parent in node.parents:
                if parent != key:
                    children[parent].append(key)
        return {key: tuple(keys) for key, keys in children.items()}

    def get_all_asset_keys(self) -> frozenset[AssetKey]:
        """Return the keys of all assets, by the field's name."""
        return self.keys

    def get(self, key: AssetKey) -> AssetNode:
        """Return what is known of an asset."""
        return self.nodes[key]

    def has(self, key: AssetKey) -> bool:
        """Whether there is such an asset, or a mention of it."""
        return key in self.nodes

    def parents(self, key: AssetKey) -> tuple[AssetKey, ...]:
        """Return the assets that one depends on."""
        return tuple(parent for parent in self.nodes[key].parents if parent != key)

    def children(self, key: AssetKey) -> tuple[AssetKey, ...]:
        """Return the assets that depend on one."""
        return self.children_of[key]

    def upstream(self, keys: Iterable[AssetKey], depth: int | None = None) -> set[AssetKey]:
        """Return assets and all that they depend on, at most ``depth`` edges away."""
        return self._reach(keys, depth, lambda key: self.nodes[key].parents)

    def downstream(self, keys: Iterable[AssetKey], depth: int | None = None) -> set[AssetKey]:
        """Return assets and all that depend on them, at most ``depth`` edges away."""
        return self._reach(keys, depth, self.children_of.__getitem__)

    def toposorted(self) -> list[AssetKey]:
        """Return every asset after all that it depends on; where a cycle is, its members are left out."""
        waiting = {key: len(set(node.parents) - {key}) for key, node in self.nodes.items()}
        ready = deque(key for key, count in waiting.items() if not count)
        order = []
        while ready:
            key = ready.popleft()
            order.append(key)
            for child in self.children_of[key]:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        return order

    def cycle(self) -> list[AssetKey]:
        """Return the assets of one cycle, in order, the first of them again at the end; or nothing."""
        own = next((key for key, node in self.nodes.items() if key in node.parents), None)
        if own is not None:
            return [own, own]
        left = set(self.nodes) - set(self.toposorted())
        # Every asset that is left has a parent that is left, unless it merely hangs below a cycle: so walking up
        # through the left ones must come back to where it has been.
        path: list[AssetKey] = []
        seen: dict[AssetKey, int] = {}
        key = min(left, default=None)
        while key is not None and key not in seen:
            seen[key] = len(path)
            path.append(key)
            key = next(parent for parent in self.nodes[key].parents if parent in left)
        if key is None:
            return []
        ring = path[seen[key] :]
        first = ring.index(min(ring))
        ring = ring[first:] + ring[:first]
        return [ring[0], *reversed(ring)]

    def _reach(self, keys: Iterable[AssetKey], depth: int | None, step: _Step) -> set[AssetKey]:
        seen = set(keys)
        frontier = seen
        while frontier and (depth is None or depth > 0):
            frontier = {other for key in frontier for other in step(key)} - seen
            seen |= frontier
            depth = None if depth is None else depth - 1
        return seen


if TYPE_CHECKING:
    from collections.abc import Callable

    _Step = Callable[[AssetKey], Iterable[AssetKey]]


def _node(spec: AssetSpec, definition: AssetsDefinition | None, *, is_materializable: bool) -> AssetNode:
    neighbours: tuple[AssetKey, ...] = ()
    if definition is not None and is_materializable and not definition.can_subset:
        neighbours = tuple(key for key in definition.specs_by_key if key != spec.key)
    return AssetNode(
        key=spec.key,
        parents=tuple(dep.asset_key for dep in spec.deps),
        group_name=spec.group,
        kinds=spec.kinds,
        owners=spec.owners,
        tags=spec.tags,
        description=spec.description,
        code_version=spec.code_version,
        is_materializable=is_materializable,
        neighbours=neighbours,
    )
