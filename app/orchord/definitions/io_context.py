"""What an IO manager is told of the output it stores or the input it loads.

Both contexts are plain facts plus a place to note metadata and events; execution/inputs.py and execution/outputs.py
fill them and read the notes. IO managers themselves are in io_manager.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.metadata import MetadataValue, normalize_metadata
from orchord.definitions.resources import build_resources
from orchord.errors import InvariantViolationError

if TYPE_CHECKING:
    from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
    from orchord.definitions.assets.spec import AssetSpec
    from orchord.definitions.op import OpDefinition
    from orchord.definitions.types import DagsterType

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_DEFAULT_LOG = logging.getLogger("orchord.io")


class _IOContext:
    """What input and output contexts share."""

    #: Assets are not partitioned here; IO managers that ask are told so.
    has_partition_key: bool = False
    has_asset_partitions: bool = False

    def __init__(
        self,
        *,
        name: str | None,
        job_name: str | None,
        op_def: OpDefinition | None,
        dagster_type: DagsterType | None,
        definition_metadata: Mapping[str, Any] | None,
        config: Any,
        resource_config: Mapping[str, Any] | None,
        resources: Any,
        log: logging.Logger | None,
        instance: Any,
        asset_key: AssetKey | None,
    ) -> None:
        self._name = name
        self._op_def = op_def
        self._asset_key = asset_key
        self.job_name = job_name
        self.dagster_type = dagster_type
        self.definition_metadata: Mapping[str, Any] = definition_metadata or _EMPTY
        self.config = config
        self.resource_config = resource_config
        self.log = log or _DEFAULT_LOG
        self.instance = instance
        self.logged_metadata: dict[str, MetadataValue] = {}
        self._resources = resources
        self._open: ExitStack | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Tear down the resources that this context itself set up. Contexts of a run set up none."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def name(self) -> str:
        """The name of the input or output."""
        if self._name is None:
            raise _missing(self, "name")
        return self._name

    @property
    def op_def(self) -> OpDefinition:
        """The op whose input or output it is."""
        if self._op_def is None:
            raise _missing(self, "op_def")
        return self._op_def

    @property
    def resources(self) -> Any:
        """The resources that the step has, by attribute."""
        if isinstance(self._resources, Mapping):
            self._resources, self._open = _opened(self._resources)
        if self._resources is None:
            raise _missing(self, "resources")
        return self._resources

    @property
    def has_asset_key(self) -> bool:
        """Whether the value is an asset."""
        return self._asset_key is not None

    @property
    def asset_key(self) -> AssetKey:
        """The key of the asset that the value is."""
        if self._asset_key is None:
            raise _missing(self, "asset_key")
        return self._asset_key

    def get_asset_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key: where a manager that files values by asset puts this one."""
        return list(self.asset_key.path)


class OutputContext(_IOContext):
    """What ``IOManager.handle_output`` is given.

    Attributes:
        step_key: the step that made the value.
        run_id: the run that made the value; for an input's upstream it may be an earlier run.
        definition_metadata: the metadata on the ``Out``; ``metadata`` is the same.
        output_metadata: the metadata on the value itself (``Output(value, metadata=...)``).
        resource_config: the config of the IO manager.
    """

    def __init__(
        self,
        *,
        step_key: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        job_name: str | None = None,
        op_def: OpDefinition | None = None,
        dagster_type: DagsterType | None = None,
        definition_metadata: Mapping[str, Any] | None = None,
        output_metadata: Mapping[str, Any] | None = None,
        config: Any = None,
        resource_config: Mapping[str, Any] | None = None,
        resources: Any = None,
        log: logging.Logger | None = None,
        instance: Any = None,
        asset_key: AssetKey | None = None,
        asset_spec: AssetSpec | None = None,
        version: str | None = None,
        log_event: Callable[[AssetMaterialization | AssetObservation], None] | None = None,
    ) -> None:
        super().__init__(
            name=name,
            job_name=job_name,
            op_def=op_def,
            dagster_type=dagster_type,
            definition_metadata=definition_metadata,
            config=config,
            resource_config=resource_config,
            resources=resources,
            log=log,
            instance=instance,
            asset_key=asset_key,
        )
        self._step_key = step_key
        self._run_id = run_id
        self._asset_spec = asset_spec
        self._log_event = log_event
        self.version = version
        self.mapping_key: str | None = None
        self.output_metadata: Mapping[str, Any] = output_metadata or _EMPTY
        self.logged_events: list[AssetMaterialization | AssetObservation] = []

    @property
    def step_key(self) -> str:
        """The step that made the value."""
        if self._step_key is None:
            raise _missing(self, "step_key")
        return self._step_key

    @property
    def run_id(self) -> str:
        """The run that made the value."""
        if self._run_id is None:
            raise _missing(self, "run_id")
        return self._run_id

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata on the output's definition."""
        return self.definition_metadata

    @property
    def asset_spec(self) -> AssetSpec:
        """What is known of the asset."""
        if self._asset_spec is None:
            raise _missing(self, "asset_spec")
        return self._asset_spec

    def get_identifier(self) -> Sequence[str]:
        """Return run id, step key and output name: what tells this value from every other one of a run."""
        return [self.run_id, self.step_key, self.name]

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Note metadata of what was stored. It is shown with the output, and with the asset's materialization.

        Raises:
            InvariantViolationError: a name was given before.
        """
        note_metadata(self.logged_metadata, metadata, f"output '{self._name}'")

    def get_logged_metadata(self) -> Mapping[str, MetadataValue]:
        """Return what ``add_output_metadata`` noted."""
        return self.logged_metadata

    def log_event(self, event: AssetMaterialization | AssetObservation) -> None:
        """Record an asset event from within ``handle_output``."""
        self.logged_events.append(event)
        if self._log_event is not None:
            self._log_event(event)

    def get_logged_events(self) -> Sequence[AssetMaterialization | AssetObservation]:
        """Return what ``log_event`` recorded."""
        return self.logged_events


class InputContext(_IOContext):
    """What ``IOManager.load_input`` is given.

    Attributes:
        upstream_output: the context of the output that made the value; None where no output of a run did.
        definition_metadata: the metadata on the ``In``; ``metadata`` is the same.
        resource_config: the config of the IO manager.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        job_name: str | None = None,
        op_def: OpDefinition | None = None,
        dagster_type: DagsterType | None = None,
        upstream_output: OutputContext | None = None,
        definition_metadata: Mapping[str, Any] | None = None,
        config: Any = None,
        resource_config: Mapping[str, Any] | None = None,
        resources: Any = None,
        log: logging.Logger | None = None,
        instance: Any = None,
        asset_key: AssetKey | None = None,
    ) -> None:
        super().__init__(
            name=name,
            job_name=job_name,
            op_def=op_def,
            dagster_type=dagster_type,
            definition_metadata=definition_metadata,
            config=config,
            resource_config=resource_config,
            resources=resources,
            log=log,
            instance=instance,
            asset_key=asset_key,
        )
        self.upstream_output = upstream_output

    @property
    def has_input_name(self) -> bool:
        """Whether the value is loaded for a named input; a value loaded for a reader outside a run has none."""
        return self._name is not None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata on the input's definition."""
        return self.definition_metadata

    def get_identifier(self) -> Sequence[str]:
        """Return the identifier of the upstream output."""
        if self.upstream_output is None:
            raise _missing(self, "upstream_output")
        return self.upstream_output.get_identifier()

    def add_input_metadata(self, metadata: Mapping[str, Any], description: str | None = None) -> None:
        """Note metadata of what was loaded. It is shown with the input."""
        note_metadata(self.logged_metadata, metadata, f"input '{self._name}'")


def note_metadata(noted: dict[str, MetadataValue], metadata: Mapping[str, Any], of_what: str) -> None:
    """Add metadata to what was noted before.

    Raises:
        InvariantViolationError: a name was noted before; which of two values is meant cannot be known.
    """
    twice = sorted(noted.keys() & metadata.keys())
    if twice:
        raise InvariantViolationError(
            f"Metadata {', '.join(map(repr, twice))} of {of_what} is set twice. Give each name once."
        )
    noted.update(normalize_metadata(metadata))


def build_output_context(
    step_key: str | None = None,
    name: str | None = None,
    definition_metadata: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    config: Any = None,
    dagster_type: DagsterType | None = None,
    version: str | None = None,
    resource_config: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    op_def: OpDefinition | None = None,
    asset_key: CoercibleToAssetKey | None = None,
    instance: Any = None,
    asset_spec: AssetSpec | None = None,
    metadata: Mapping[str, Any] | None = None,
    output_metadata: Mapping[str, Any] | None = None,
) -> OutputContext:
    """Build a context to call an IO manager's ``handle_output`` with, in a test.

    ``resources`` holds objects or resource definitions; definitions are set up when first asked for, and torn down
    when the context is used as a context manager or closed. ``metadata`` is another name of ``definition_metadata``.
    """
    return OutputContext(
        step_key=step_key,
        name=name,
        run_id=run_id,
        op_def=op_def,
        dagster_type=dagster_type,
        definition_metadata=definition_metadata or metadata,
        output_metadata=output_metadata,
        config=config,
        resource_config=resource_config,
        resources={} if resources is None else resources,
        instance=instance,
        asset_key=None if asset_key is None else AssetKey.from_coercible(asset_key),
        asset_spec=asset_spec,
        version=version,
    )


def build_input_context(
    name: str | None = None,
    config: Any = None,
    definition_metadata: Mapping[str, Any] | None = None,
    upstream_output: OutputContext | None = None,
    dagster_type: DagsterType | None = None,
    resource_config: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    op_def: OpDefinition | None = None,
    asset_key: CoercibleToAssetKey | None = None,
    instance: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> InputContext:
    """Build a context to call an IO manager's ``load_input`` with, in a test. Takes what an output context takes."""
    return InputContext(
        name=name,
        op_def=op_def,
        dagster_type=dagster_type,
        upstream_output=upstream_output,
        definition_metadata=definition_metadata or metadata,
        config=config,
        resource_config=resource_config,
        resources={} if resources is None else resources,
        instance=instance,
        asset_key=None if asset_key is None else AssetKey.from_coercible(asset_key),
    )


def _opened(resources: Mapping[str, Any]) -> tuple[Any, ExitStack]:
    stack = ExitStack()
    return stack.enter_context(build_resources(dict(resources))), stack


def _missing(context: _IOContext, attribute: str) -> InvariantViolationError:
    kind = type(context).__name__
    builder = "build_output_context" if isinstance(context, OutputContext) else "build_input_context"
    return InvariantViolationError(
        f"This {kind} has no '{attribute}'. In a test, give it: {builder}({attribute}=...); "
        f"in a run, ask has_asset_key or has_input_name first."
    )
