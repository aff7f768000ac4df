"""JobDefinition: a graph with all that it takes to run it: resources, executor, config, hooks, retry policy.

``@job`` is in job.py, what run config it takes in job_config.py, its steps in plan/compile.py. Jobs never change;
``with_x`` returns a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

import msgspec

from orchord.definitions.config.config_class import Config
from orchord.definitions.config.mapping import ConfigMapping
from orchord.definitions.config.run_config import RunConfig, as_run_config, laid_over
from orchord.definitions.config.types import ConfigType
from orchord.definitions.engine import engine
from orchord.definitions.executors import ExecutorDefinition
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import NO_VALUE
from orchord.definitions.job_config import (
    ResolvedRunConfig,
    input_config_type,
    job_config_type,
    resolve_run_config,
)
from orchord.definitions.job_resources import reads_asset, step_resource_keys
from orchord.definitions.node import Node, checked_hooks
from orchord.definitions.origin import at
from orchord.definitions.resources.configurable import as_resource_definition
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.definitions.wiring import WiredOp, Wiring, needs_no_value, wire
from orchord.errors import InvalidDefinitionError, InvalidInvocationError, NotFoundError, did_you_mean, numbered

if TYPE_CHECKING:
    from orchord.definitions.assets.layer import AssetLayer
    from orchord.definitions.graph import GraphDefinition
    from orchord.definitions.op import OpDefinition
    from orchord.definitions.resources.definition import ResourceDefinition
    from orchord.execution.result import ExecuteInProcessResult

_KEPT_CONFIGS = 32
_NO_PART_OF_THE_PLAN = frozenset({"resource_defs", "executor_def"})


class PlanToken:
    """Stands for all of a job that its plan is made of; copies that differ in nothing of it share one."""


class JobDefinition:
    """A graph that can be run.

    Args:
        graph_def: the graph.
        name: its name; the graph's when left out.
        description: for people.
        resource_defs: resources by key; those it lacks are bound by Definitions.
        config: default run config (a dict or a RunConfig), or a ConfigMapping that makes it from a simpler one. What a
            run is given for an op, a resource or a logger stands in place of the default for it, as a whole.
        tags: for people; they go to the runs too, unless ``run_tags`` are given.
        run_tags: tags of its runs.
        metadata: for people.
        logger_defs: loggers by name.
        executor_def: how its steps are executed; None leaves it to Definitions and the instance.
        hooks: hooks that run after every step.
        op_retry_policy: the retry policy of ops that have none of their own.
        input_values: values for the graph's own inputs.
        owners: e-mail addresses and teams (``team:name``).
        asset_layer: which inputs and outputs are assets.

    Raises:
        InvalidDefinitionError: the job cannot be right; every mistake is listed.
    """

    def __init__(
        self,
        graph_def: GraphDefinition,
        *,
        name: str | None = None,
        description: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        logger_defs: Mapping[str, Any] | None = None,
        executor_def: Any = None,
        hooks: Iterable[HookDefinition] | None = None,
        op_retry_policy: RetryPolicy | None = None,
        input_values: Mapping[str, Any] | None = None,
        owners: Sequence[str] | None = None,
        asset_layer: AssetLayer | None = None,
    ) -> None:
        self.graph = graph_def
        self.name = name if name is not None else graph_def.name
        self.description = description if description is not None else graph_def.description
        self.resource_defs: dict[str, ResourceDefinition] = {
            key: as_resource_definition(value) for key, value in (resource_defs or {}).items()
        }
        self.executor_def = executor_def
        self.logger_defs: dict[str, Any] = dict(logger_defs or {})
        self.tags = normalized_tags(tags, f"job '{self.name}'")
        self.run_tags = normalized_tags(run_tags, f"runs of job '{self.name}'") if run_tags is not None else None
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.hooks = checked_hooks(hooks or (), f"job '{self.name}'")
        self.op_retry_policy = op_retry_policy
        self.input_values: dict[str, Any] = dict(input_values or {})
        self.owners: tuple[str, ...] = tuple(owners or ())
        self.asset_layer = asset_layer
        self.config_mapping: ConfigMapping | None = config if isinstance(config, ConfigMapping) else None
        self.wiring: Wiring = wire(graph_def)
        mistakes = self._mistakes(config)
        if mistakes:
            where = f" ({graph_def.origin})" if graph_def.origin else ""
            raise InvalidDefinitionError(numbered(f"Job '{self.name}'{where} cannot be right", mistakes))
        self._default_config: dict[str, Any] = (
            {} if config is None or self.config_mapping else {k: v for k, v in as_run_config(config).items() if v}
        )
        self._forget()

    def __repr__(self) -> str:
        """Name the job."""
        return f"<JobDefinition '{self.name}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a job is no function, and no node of a graph.

        Raises:
            InvalidInvocationError: always.
        """
        raise InvalidInvocationError(
            f"Job '{self.name}' is called. Run it by {self.name}.execute_in_process(); to use it inside another job, "
            "make it a @graph."
        )

    def _forget(self, *, plan: bool = True) -> None:
        """Drop what was worked out: a copy with other resources has another config type, but the same plan."""
        if plan:
            self.plan_token = PlanToken()
        self._config_type: ConfigType | None = None
        self._resolved: dict[bytes, ResolvedRunConfig] = {}

    def _mistakes(self, config: Any) -> list[str]:
        policy: Any = self.op_retry_policy
        mistakes = name_mistakes("a job", self.name) + list(self.wiring.mistakes)
        inputs = self.graph.input_names
        for name in self.input_values:
            if name not in inputs:
                hint = did_you_mean(name, inputs) or " The job has no inputs."
                mistakes.append(f"input_values gives '{name}', which is no input of the job.{hint}")
        if config is not None and not isinstance(config, Mapping | RunConfig | ConfigMapping):
            mistakes.append(f"config= is {config!r}: give a dict, a RunConfig or a ConfigMapping")
        if self.executor_def is not None and not isinstance(self.executor_def, ExecutorDefinition):
            mistakes.append(f"executor_def is {self.executor_def!r}: give an executor, such as multiprocess_executor")
        if policy is not None and not isinstance(policy, RetryPolicy):
            mistakes.append(f"op_retry_policy is {policy!r}: give a RetryPolicy")
        for place, reached in self.wiring.open_places.items():
            if place.path == "" and place.input_name in self.input_values:
                continue
            for step_key, input_name in reached:
                wired = self.wiring.ops[step_key]
                declared = wired.op.ins[input_name]
                if needs_no_value(declared) or reads_asset(self, step_key, input_name):
                    continue
                if input_config_type(declared) is None:
                    mistakes.append(at(wired.node.origin, _no_value(wired, input_name)))
        return mistakes

    @property
    def tags_of_runs(self) -> dict[str, str]:
        """The tags that its runs get: ``run_tags``, or ``tags`` when there are none."""
        return dict(self.tags if self.run_tags is None else self.run_tags)

    def config_type(self) -> ConfigType:
        """Return what its run config must look like, as data."""
        if self._config_type is None:
            self._config_type = job_config_type(self)
        return self._config_type

    def default_run_config(self) -> dict[str, Any]:
        """Return the run config that it was defined with, as plain data."""
        return copy.deepcopy(self._default_config)

    def merged_run_config(self, run_config: Any = None) -> dict[str, Any]:
        """Return run config (a dict, a RunConfig or None) as plain data, with the job's default where it says nothing.

        Each op, resource and logger has what is given for it or its default, and never some of both.
        """
        return laid_over(self._default_config, as_run_config(run_config))

    def resolve_run_config(self, run_config: Any = None, step_keys: Collection[str] | None = None) -> ResolvedRunConfig:
        """Check run config and sort it by who needs it. The result is kept, and must not be changed.

        Args:
            run_config: a dict or a RunConfig; None is the job's default.
            step_keys: the steps that run; None: all. What only others need may be left out.

        Raises:
            InvalidConfigError: every mistake, with its path.
        """
        try:
            kept_as = msgspec.json.encode([run_config, step_keys], order="deterministic")
        except (TypeError, ValueError):
            return resolve_run_config(self, run_config, step_keys)
        found = self._resolved.get(kept_as)
        if found is None:
            found = resolve_run_config(self, run_config, step_keys)
            if len(self._resolved) >= _KEPT_CONFIGS:
                self._resolved.clear()
            self._resolved[kept_as] = found
        return found

    def _wired(self, step_key: str) -> WiredOp:
        """Return the op of a step, with where it stands in the job.

        Raises:
            NotFoundError: the job has no such step.
        """
        found = self.wiring.ops.get(step_key)
        if found is None:
            hint = did_you_mean(step_key, self.wiring.ops)
            raise NotFoundError(f"Job '{self.name}' has no step '{step_key}'.{hint}")
        return found

    def node_at(self, step_key: str) -> Node[OpDefinition]:
        """Return the node of a step.

        Raises:
            NotFoundError: the job has no such step.
        """
        return self._wired(step_key).node

    def step_hooks(self, step_key: str) -> frozenset[HookDefinition]:
        """Return the hooks of a step: the job's, the op's, its uses', and those of the assets that it makes."""
        hooks = self._wired(step_key).hooks() | self.hooks
        assets = self.asset_layer.definitions_by_step.get(step_key) if self.asset_layer is not None else None
        return hooks if assets is None else hooks | assets.hooks

    def direct_input_value(self, step_key: str, input_name: str, default: Any = NO_VALUE) -> Any:
        """Return the member of ``input_values`` that a step's input gets; ``default`` when there is none."""
        feed = self._wired(step_key).feeds[input_name]
        if feed.sources or feed.place.path:
            return default
        return self.input_values.get(feed.place.input_name, default)

    def required_resource_keys(self, step_key: str) -> frozenset[str]:
        """Return the resources that a step needs: its op's, its hooks', and the managers of what it reads and makes."""
        return step_resource_keys(self, self._wired(step_key).key)

    def with_resources(self, resource_defs: Mapping[str, Any]) -> Self:
        """Return a copy with these resources, which take the places of those it has under the same keys."""
        added = {key: as_resource_definition(value) for key, value in resource_defs.items()}
        return self._copied(resource_defs={**self.resource_defs, **added})

    def with_executor(self, executor_def: Any) -> Self:
        """Return a copy with another executor."""
        return self._copied(executor_def=executor_def)

    def with_loggers(self, logger_defs: Mapping[str, Any]) -> Self:
        """Return a copy that has these loggers too; those it has already stay."""
        return self._copied(logger_defs={**logger_defs, **self.logger_defs})

    def with_hooks(self, hook_defs: Iterable[HookDefinition]) -> Self:
        """Return a copy with further hooks on every step."""
        return self._copied(hooks=self.hooks | checked_hooks(hook_defs, f"job '{self.name}'"))

    def with_input_values(self, input_values: Mapping[str, Any]) -> Self:
        """Return a copy with further values for the graph's own inputs.

        Raises:
            InvalidDefinitionError: a name is no input of the job.
        """
        made = self._copied(input_values={**self.input_values, **input_values})
        mistakes = made._mistakes(None)
        if mistakes:
            raise InvalidDefinitionError(numbered(f"Job '{self.name}' cannot be right", mistakes))
        return made

    def _copied(self, **attributes: Any) -> Self:
        made = copy.copy(self)
        for name, value in attributes.items():
            setattr(made, name, value)
        made._forget(plan=not _NO_PART_OF_THE_PLAN.issuperset(attributes))
        return made

    def execute_in_process(
        self,
        run_config: Any = None,
        instance: Any = None,
        raise_on_error: bool = True,
        op_selection: Sequence[str] | None = None,
        asset_selection: Sequence[Any] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> ExecuteInProcessResult:
        """Run the job in this process, step by step, and return an ExecuteInProcessResult.

        Args:
            run_config: a dict or a RunConfig. Ops, resources and loggers of which it says nothing have the job's
                default config.
            instance: the instance that the run is recorded in; None keeps it in memory.
            raise_on_error: raise the first step's error instead of returning a result that tells of it.
            op_selection: the steps to run, such as ``["clean+", "*report"]``.
            asset_selection: the assets to make, of an asset job.
            run_id: the run's id; a new one when left out.
            input_values: values for the graph's own inputs.
            tags: tags of the run.
            resources: resources that take the places of the job's.

        Raises:
            InvalidConfigError: the run config has mistakes, all listed.
            InvalidSubsetError: a selection names what does not exist.
        """
        return engine().execute_job(
            self,
            run_config=run_config,
            instance=instance,
            resources=resources,
            raise_on_error=raise_on_error,
            op_selection=op_selection,
            asset_selection=asset_selection,
            run_id=run_id,
            input_values=input_values,
            tags=tags,
        )


def _no_value(wired: WiredOp, input_name: str) -> str:
    declared = wired.op.ins[input_name]
    python_type = declared.dagster_type.typing_type
    if isinstance(python_type, type) and issubclass(python_type, Config):
        fix = "config arrives in the parameter named 'config': rename it"
    else:
        fix = "connect it to an output, or give it a default value"
    sentence = f"input '{input_name}' of step '{wired.key}' has no value, and run config cannot give one of type"
    return f"{sentence} {declared.dagster_type.name}: {fix}"


def validate_run_config(job_def: JobDefinition, run_config: Any = None) -> dict[str, Any]:
    """Return the run config that a run of a job would have: what is given, over the job's own.

    Args:
        job_def: the job, with its resources.
        run_config: a dict or a RunConfig.

    Raises:
        InvalidConfigError: every mistake, with its path.
    """
    merged = job_def.merged_run_config(run_config)
    job_def.resolve_run_config(merged)
    return merged
