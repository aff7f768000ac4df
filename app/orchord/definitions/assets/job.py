"""Jobs over assets: ``define_asset_job``, and how a selection of assets becomes a graph of ops with an asset layer.

A job made by ``define_asset_job`` knows its assets only once Definitions has them all: until then it is unresolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.catalog import AssetCatalog
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.labels import owner_mistakes
from orchord.definitions.assets.layer import AssetLayer
from orchord.definitions.assets.selection import AssetSelection, CoercibleToAssetSelection
from orchord.definitions.dependency import Dependency, DependencyDefinition, NodeInvocation
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.node import NodeDefinition
from orchord.definitions.op import OpDefinition
from orchord.definitions.origin import calling_origin
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.errors import InvalidDefinitionError, InvalidSubsetError, numbered

if TYPE_CHECKING:
    from orchord.definitions.executors import ExecutorDefinition
    from orchord.definitions.hooks import HookDefinition
    from orchord.definitions.retry import RetryPolicy

IMPLICIT_JOB_NAME = "__ASSET_JOB"


@dataclass(frozen=True, eq=False)
class UnresolvedAssetJobDefinition:
    """A job over assets that are not known yet. See ``define_asset_job``."""

    name: str
    selection: AssetSelection
    config: Any = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    run_tags: Mapping[str, str] | None = None
    metadata: Mapping[str, Any] | None = None
    executor_def: ExecutorDefinition | None = None
    hooks: frozenset[HookDefinition] = frozenset()
    op_retry_policy: RetryPolicy | None = None
    owners: tuple[str, ...] = ()
    origin: str = ""

    def resolve(
        self,
        catalog: AssetCatalog,
        resource_defs: Mapping[str, Any] | None = None,
        executor_def: ExecutorDefinition | None = None,
        logger_defs: Mapping[str, Any] | None = None,
    ) -> JobDefinition:
        """Return the job over the selected assets of a catalog.

        Args:
            catalog: all assets.
            resource_defs: the resources that the job may use.
            executor_def: the executor, when the job names none.
            logger_defs: the loggers.

        Raises:
            InvalidSubsetError: the selection names unknown assets, selects none, or takes some of a step's assets that
                must be made together.
        """
        return asset_job(
            self.name,
            self.selection.resolve_to_make(catalog.graph),
            catalog,
            resource_defs=resource_defs,
            executor_def=self.executor_def or executor_def,
            logger_defs=logger_defs,
            config=self.config,
            description=self.description,
            tags=self.tags,
            run_tags=self.run_tags,
            metadata=self.metadata,
            hooks=self.hooks,
            op_retry_policy=self.op_retry_policy,
            owners=self.owners,
        )


def define_asset_job(
    name: str,
    selection: CoercibleToAssetSelection | None = None,
    config: Any = None,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    owners: Sequence[str] | None = None,
) -> UnresolvedAssetJobDefinition:
    """Make a job that makes some assets. Give it to ``Definitions(jobs=[...])`` beside the assets.

    Args:
        name: the job's name.
        selection: which assets: an AssetSelection, its text form, or a list of keys, strings and assets. Default: all.
        config: run config, a RunConfig, or a ConfigMapping.
        description: for people.
        tags: of the job and of its runs.
        run_tags: of its runs instead.
        metadata: labelled values.
        executor_def: how its runs are executed.
        hooks: hooks that run after each of its steps.
        op_retry_policy: for ops that have none of their own.
        owners: e-mail addresses and ``team:<name>``.

    Raises:
        InvalidDefinitionError: the name, tags or owners cannot be right.
        InvalidSubsetError: the text of the selection cannot be read.
    """
    origin = calling_origin()
    mistakes = [*name_mistakes("a job", name), *owner_mistakes(owners, "it")]
    if mistakes:
        raise InvalidDefinitionError(
            numbered(f"Asset job {name!r}{f' ({origin})' if origin else ''} cannot be right", mistakes)
        )
    return UnresolvedAssetJobDefinition(
        name=name,
        selection=AssetSelection.all() if selection is None else AssetSelection.from_coercible(selection),
        config=config,
        description=description,
        tags=normalized_tags(tags, f"job '{name}'"),
        run_tags=None if run_tags is None else normalized_tags(run_tags, f"job '{name}'"),
        metadata=metadata,
        executor_def=executor_def,
        hooks=frozenset(hooks or ()),
        op_retry_policy=op_retry_policy,
        owners=tuple(owners or ()),
        origin=origin,
    )


@dataclass
class _Part:
    """One node of an asset job: a definition, the node's name, and the assets that it makes in this job."""

    definition: AssetsDefinition
    keys: set[AssetKey]
    node_name: str
    is_split: bool = False


def asset_job(name: str, keys: Iterable[AssetKey], catalog: AssetCatalog, **options: Any) -> JobDefinition:
    """Return a job that makes these assets of a catalog.

    Assets that are not made and are read by those that are, are loaded by their IO managers. ``options`` are
    JobDefinition's, as they are.

    Raises:
        InvalidSubsetError: some assets must be made together with others that are not selected.
    """
    selected = set(keys)
    parts = _parts(selected, catalog)
    part_of = {key: part for part in parts for key in part.keys}
    dependencies: dict[str | NodeInvocation, Mapping[str, Dependency]] = {}
    for part in parts:
        invocation = NodeInvocation(
            part.definition.node_def.name,
            alias=part.node_name if part.node_name != part.definition.node_def.name else None,
        )
        dependencies[invocation] = _edges(part, part_of)
    node_defs: dict[int, NodeDefinition] = {id(part.definition.node_def): part.definition.node_def for part in parts}
    graph = GraphDefinition(name, node_defs=list(node_defs.values()), dependencies=dependencies)
    return JobDefinition(graph, name=name, asset_layer=_layer(parts, catalog), **options)


def _parts(selected: set[AssetKey], catalog: AssetCatalog) -> list[_Part]:
    parts = []
    mistakes = []
    for definition in catalog.definitions:
        chosen = selected.intersection(definition.specs_by_key)
        if not chosen:
            continue
        left_out = [key for key in definition.specs_by_key if key not in chosen]
        if left_out and not definition.can_subset:
            taken = ", ".join(sorted(key.to_user_string() for key in chosen))
            rest = ", ".join(sorted(key.to_user_string() for key in left_out))
            mistakes.append(
                f"'{definition.node_def.name}' makes {taken} together with {rest}, which the selection leaves out."
                " Select all of them (.required_multi_asset_neighbors()), or set can_subset=True"
            )
        groups = _levels(definition, chosen, catalog) if definition.can_subset else [chosen]
        for number, group in enumerate(groups, start=1):
            node_name = definition.node_def.name if number == 1 else f"{definition.node_def.name}_{number}"
            parts.append(_Part(definition, group, node_name, is_split=len(groups) > 1))
    if mistakes:
        raise InvalidSubsetError("The assets cannot be made so", mistakes)
    return parts


def _levels(definition: AssetsDefinition, chosen: set[AssetKey], catalog: AssetCatalog) -> list[set[AssetKey]]:
    """Split the assets of one definition where another's asset stands between them, which would close a circle.

    ``a1 -> b -> a2`` with ``a1`` and ``a2`` made by one op needs that op twice: once for ``a1``, once for ``a2``.
    """
    own = set(definition.specs_by_key)
    graph = catalog.graph
    level: dict[AssetKey, int] = {}
    for key in graph.toposorted() if _leaves_and_returns(own, graph) else ():
        # An asset's level is how often a path to it leaves this definition and comes back.
        best = 0
        for parent in graph.parents(key):
            crosses = key in own and parent not in own and _reaches_own(parent, own, graph)
            best = max(best, level.get(parent, 0) + (1 if crosses else 0))
        level[key] = best
    groups: dict[int, set[AssetKey]] = {}
    for key in chosen:
        groups.setdefault(level.get(key, 0), set()).add(key)
    return [groups[number] for number in sorted(groups)]


def _leaves_and_returns(own: set[AssetKey], graph: Any) -> bool:
    outside = graph.downstream(own) - own
    return bool(own.intersection(child for key in outside for child in graph.children(key)))


def _reaches_own(key: AssetKey, own: set[AssetKey], graph: Any) -> bool:
    return bool(own.intersection(graph.upstream([key])))


def _edges(part: _Part, part_of: Mapping[AssetKey, _Part]) -> dict[str, Dependency]:
    """Return the edges into one node from the nodes that make what it reads."""
    # A part of a split definition waits only on what its own assets depend on; the rest would close the circle again.
    specs = [part.definition.specs_by_key[key] for key in part.keys]
    needed = {dep.asset_key for spec in specs for dep in spec.deps} if part.is_split else None
    edges: dict[str, Dependency] = {}
    for input_name, key in part.definition.keys_by_input_name.items():
        maker = part_of.get(key)
        if maker is None or maker is part or (needed is not None and key not in needed):
            continue
        output_name = next(name for name, made in maker.definition.keys_by_output_name.items() if made == key)
        edges[input_name] = DependencyDefinition(maker.node_name, output_name)
    return edges


def _layer(parts: Sequence[_Part], catalog: AssetCatalog) -> AssetLayer:
    layer = AssetLayer()
    for part in parts:
        definition = part.definition
        for name, key in definition.keys_by_output_name.items():
            if key in part.keys:
                layer.outputs[_inner_output(part.node_name, definition.node_def, name)] = key
                layer.specs[key] = definition.specs_by_key[key]
                layer.io_manager_keys[key] = definition.io_manager_key_of(key)
        for name, key in definition.keys_by_input_name.items():
            for place in _inner_inputs(part.node_name, definition.node_def, name):
                layer.inputs[place] = key
            if key not in layer.specs:
                layer.specs[key] = catalog.spec_of(key)
                layer.io_manager_keys[key] = catalog.io_manager_key_of(key)
        for step_key in _inner_steps(part.node_name, definition.node_def):
            layer.definitions_by_step[step_key] = definition
    return layer


def _inner_output(path: str, node: Any, output_name: str) -> tuple[str, str]:
    """Follow an output of a node down to the op that gives it; return (step key, output name)."""
    while not isinstance(node, OpDefinition):
        mapping = node.output_mapping(output_name)
        path, output_name = f"{path}.{mapping.mapped_node_name}", mapping.mapped_node_output_name
        node = node.nodes[mapping.mapped_node_name].definition
    return path, output_name


def _inner_inputs(path: str, node: Any, input_name: str) -> list[tuple[str, str]]:
    """Follow an input of a node down to every op that takes it; return (step key, input name) pairs."""
    if isinstance(node, OpDefinition):
        return [(path, input_name)]
    return [
        place
        for mapping in node.input_mappings
        if mapping.graph_input_name == input_name
        for place in _inner_inputs(
            f"{path}.{mapping.mapped_node_name}",
            node.nodes[mapping.mapped_node_name].definition,
            mapping.mapped_node_input_name,
        )
    ]


def _inner_steps(path: str, node: Any) -> list[str]:
    if isinstance(node, OpDefinition):
        return [path]
    return [step for inner in node.nodes.values() for step in _inner_steps(f"{path}.{inner.name}", inner.definition)]
