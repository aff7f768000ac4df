"""OpDefinition and ``@op``: one function that a graph can use, with what it takes, gives and needs.

What a signature says is read in inference.py; using an op in a graph is node.py and composition.py; executing it is
execution/.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from orchord.definitions.config.configurable import Configurable
from orchord.definitions.config.schema import ConfigSchema
from orchord.definitions.config.types import ConfigType
from orchord.definitions.engine import engine
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import In, Out
from orchord.definitions.node import NodeDefinition, checked_hooks
from orchord.definitions.op_building import OpParts, read_op
from orchord.definitions.retry import RetryPolicy

_POOL_TAGS = ("orchord/concurrency_key", "dagster/concurrency_key")


class OpDefinition(Configurable, NodeDefinition):
    """A function that runs as one step.

    Attributes:
        name: its name, which is also its step's key when it is used directly in a job.
        ins: its inputs by name, types resolved, in the order in which positional arguments bind.
        outs: its outputs by name, types resolved.
        compute_fn: the user's function.
        has_context: whether the function takes the context as its first argument.
        config_type: what its config must look like; None when it declared none, and then any config is taken.
        config_cls: the Config class that the function's ``config`` parameter wants, if any.
        config_param: the name of the parameter that takes the config (``config``), if the function has one.
        resource_params: parameters that take resources, with the resources' keys.
        required_resource_keys: the resources it needs, those of its parameters included. IO managers are not.
        hooks: hooks that run after it wherever it is used.
    """

    _configured_needs_name = True

    def __init__(
        self,
        compute_fn: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        ins: Mapping[str, In] | None = None,
        out: Out | Mapping[str, Out] | None = None,
        config_schema: Any = None,
        required_resource_keys: Iterable[str] | None = None,
        tags: Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
        code_version: str | None = None,
        pool: str | None = None,
        timeout_seconds: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        hooks: Iterable[HookDefinition] = (),
    ) -> None:
        parts: OpParts = read_op(
            compute_fn,
            name=name,
            ins=ins or {},
            out=out,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            tags=tags,
            retry_policy=retry_policy,
            timeout_seconds=timeout_seconds,
        )
        self.name: str = parts.name
        self.description = description if description is not None else parts.description
        self.compute_fn = compute_fn
        self.ins: dict[str, In] = parts.ins
        self.outs: dict[str, Out] = parts.outs
        self.context_name: str | None = parts.signature.context_name
        self.has_context: bool = self.context_name is not None
        self._config_schema: ConfigSchema | None = parts.config_schema
        self.config_type: ConfigType | None = parts.config_schema.config_type if parts.config_schema else None
        self.config_cls: type[Any] | None = parts.config_cls
        self.config_param: str | None = parts.signature.config.name if parts.signature.config else None
        self.resource_params: dict[str, str] = dict(parts.signature.resources)
        self.required_resource_keys: frozenset[str] = parts.required_resource_keys
        self.tags: dict[str, str] = parts.tags
        self.retry_policy = retry_policy
        self.code_version = code_version
        self.pool = pool or next((self.tags[tag] for tag in _POOL_TAGS if tag in self.tags), None)
        self.timeout_seconds: float | None = parts.timeout_seconds
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.hooks: frozenset[HookDefinition] = checked_hooks(hooks, f"op '{self.name}'")
        self.origin: str = parts.origin
        self.__name__ = self.name
        self.__doc__ = getattr(compute_fn, "__doc__", None)
        self.__wrapped__ = compute_fn

    def __repr__(self) -> str:
        """Name the op."""
        return f"<OpDefinition '{self.name}'>"

    @property
    def kind(self) -> str:
        """How messages call it."""
        return "op"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Inputs in the order in which positional arguments bind to them."""
        return tuple(self.ins)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Outputs in the order in which a call returns them."""
        return tuple(self.outs)

    @property
    def outer_schema(self) -> ConfigSchema | None:
        """What stands for it in run config: its own schema, or that of its outermost ``.configured`` layer."""
        return self._config_layers[0].outer if self._config_layers else self._config_schema

    def input_types(self, name: str) -> list[Any]:
        """The DagsterType of an input, in a list."""
        return [self.ins[name].dagster_type]

    def output_type(self, name: str) -> Any:
        """The DagsterType of an output."""
        return self.outs[name].dagster_type

    def invoke_directly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the user's function, checked as in a run."""
        return engine().invoke(self, args, kwargs)

    def replaced(self, **attributes: Any) -> OpDefinition:
        """Return a copy with other values of some attributes (``name``, ``outs``, ``tags``, ...)."""
        made = copy.copy(self)
        for name, value in attributes.items():
            setattr(made, name, value)
        made.__name__ = made.name
        return made


@overload
def op(compute_fn: Callable[..., Any]) -> OpDefinition: ...
@overload
def op(
    compute_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
    timeout_seconds: float | None = None,
) -> Callable[[Callable[..., Any]], OpDefinition]: ...
def op(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
    timeout_seconds: float | None = None,
) -> OpDefinition | Callable[[Callable[..., Any]], OpDefinition]:
    """Make an op of a function. Use it with or without parentheses.

    Inputs are the function's parameters, the result is its return value; ``ins`` and ``out`` say more about them. A
    first parameter named ``context`` (or annotated with OpExecutionContext) takes the context, a parameter
    ``config: SomeConfig`` the config, a parameter annotated with a resource class that resource.

    Args:
        compute_fn: the function, when used without parentheses.
        name: the op's name; the function's when left out.
        description: for people; the function's docstring when left out.
        ins: inputs by name. A ``Nothing`` input is no parameter: it only orders.
        out: one Out, or several by name. A tuple that the function returns is taken apart in their order.
        config_schema: what the op's config must look like. Without one, any config is taken.
        required_resource_keys: resources that ``context.resources`` must have.
        tags: for people, and for executors.
        version: the old name of ``code_version``.
        retry_policy: how often a failed step is tried again.
        code_version: the version of the code.
        pool: the pool whose slots limit how many such steps run at once.
        timeout_seconds: how long an attempt may take. Then ``StepTimeoutError`` is raised in the function; where it
            does not get through, as in a call into C, the process is ended five seconds later.

    Raises:
        InvalidDefinitionError: the op cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> OpDefinition:
        return OpDefinition(
            function,
            name=name,
            description=description,
            ins=ins,
            out=out,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            tags=tags,
            retry_policy=retry_policy,
            code_version=code_version or version,
            pool=pool,
            timeout_seconds=timeout_seconds,
        )

    return define if compute_fn is None else define(compute_fn)
