"""Calling an op or asset as a plain function: arguments, context, config and resources bound, values checked.

No run is made, nothing is stored. What comes back is what the body returned, its results checked as they pass. Runs
are execute.py.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.config import Config
from orchord.definitions.op import OpDefinition
from orchord.definitions.output import Output
from orchord.errors import InvalidInvocationError, TypeCheckError, did_you_mean
from orchord.execution import contexts
from orchord.execution.body import returned_results
from orchord.execution.build_context import DirectMembers, build_asset_context, build_op_context
from orchord.execution.contexts import OpExecutionContext
from orchord.execution.step_assets import NO_ASSETS, StepAssets
from orchord.execution.step_facts import op_config

if TYPE_CHECKING:
    from orchord.definitions.in_out import In

_NOT_GIVEN: Any = object()


def invoke(definition: OpDefinition | AssetsDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call an op or asset directly.

    Args:
        definition: the op or the assets.
        args: the context first, if the body takes one; then values for its inputs, in their order.
        kwargs: values for inputs by name; ``config``, and resources by the name of their parameter.

    Returns:
        What the body returned: a value, an Output, a generator, or something to await. Values in it are checked.

    Raises:
        InvalidInvocationError: the arguments do not fit the signature.
        TypeCheckError: a value does not fit its type.
    """
    assets = NO_ASSETS
    if isinstance(definition, AssetsDefinition):
        assets = _assets_of(definition)
        op_def = definition.op
    else:
        op_def = definition
    call = _Call(op_def, assets, dict(kwargs))
    is_lazy = False
    try:
        call.bind(args)
        returned = call.returned()
        is_lazy = inspect.isgenerator(returned) or inspect.isasyncgen(returned) or inspect.isawaitable(returned)
        return call.checked(returned)
    finally:
        # What comes later is not there yet; the call's own resources are torn down when it has come.
        if not is_lazy:
            call.set_up.close()


class _Call:
    """One direct call: its arguments sorted by what they are for."""

    def __init__(self, op_def: OpDefinition, assets: StepAssets, kwargs: dict[str, Any]) -> None:
        self.op_def = op_def
        self.assets = assets
        self.kwargs = kwargs
        self.parameters: dict[str, Any] = {}
        self.set_up = ExitStack()

    def bind(self, args: tuple[Any, ...]) -> None:
        """Sort the arguments by what they are for."""
        kwargs = self.kwargs
        self.context = self._context(args, kwargs)
        if args and (isinstance(args[0], OpExecutionContext) or (self.op_def.has_context and args[0] is None)):
            args = args[1:]
        args = self._resources(args, kwargs)
        args = self._config(args, kwargs)
        self.inputs = self._inputs(args, kwargs)

    def _context(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> DirectMembers:
        name = self.op_def.context_name
        given = args[0] if args else None
        if name is not None and name in kwargs:
            given = kwargs.pop(name)
        elif self.op_def.has_context and not (args and (given is None or isinstance(given, OpExecutionContext))):
            raise InvalidInvocationError(
                f"'{self.op_def.name}' takes a context, and was called without one. Give it first: "
                f"{self.op_def.name}(build_{'asset' if self.assets.definition else 'op'}_context(), ...)."
            )
        if isinstance(given, DirectMembers):
            return given
        if isinstance(given, OpExecutionContext):
            raise InvalidInvocationError(
                f"'{self.op_def.name}' was called with the context of a running step. Call it with one made by "
                "build_op_context(), or connect it in the job's graph."
            )
        return build_asset_context() if self.assets.definition is not None else build_op_context()

    def _resources(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Take resources that are given by keyword, or by position as an object of a resource class."""
        held = self.context.opened
        for parameter, key in self.op_def.resource_params.items():
            if parameter in kwargs:
                if key in held:
                    raise InvalidInvocationError(
                        f"Resource '{key}' is given twice: in the context and as {parameter}=. Give it once."
                    )
                self.parameters[parameter] = self._as_value(kwargs.pop(parameter))
            elif key in held:
                self.parameters[parameter] = held.get(key)
            elif args and hasattr(type(args[0]), "get_resource_definition"):
                self.parameters[parameter] = self._as_value(args[0])
                args = args[1:]
        by_parameter = {self.op_def.resource_params[parameter] for parameter in self.parameters}
        missing = sorted(key for key in self.op_def.required_resource_keys - by_parameter if key not in held)
        if missing:
            raise InvalidInvocationError(
                f"'{self.op_def.name}' requires resources that were not given: {', '.join(missing)}. Give them: "
                f"build_op_context(resources={{{missing[0]!r}: ...}})."
            )
        return args

    def _config(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        raw: Any = self.context.given_config
        parameter = self.op_def.config_param
        if parameter is not None:
            given = kwargs.pop(parameter, _NOT_GIVEN)
            if given is _NOT_GIVEN and args and isinstance(args[0], Config):
                given, args = args[0], args[1:]
            if given is not _NOT_GIVEN:
                if raw is not None:
                    raise InvalidInvocationError(
                        f"'{self.op_def.name}' has config twice: in the context and as {parameter}=. Give it once."
                    )
                raw = given
        if isinstance(raw, Config):
            # It was checked when it was made, and may be of a subclass that the op knows nothing of.
            self.context.bind(self.op_def, self.assets, raw.to_config_dict())
            value: Any = raw
        else:
            plain, value = op_config(self.op_def, raw, "config")
            self.context.bind(self.op_def, self.assets, plain)
        if parameter is not None:
            self.parameters[parameter] = value
        return args

    def _inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        op_def = self.op_def
        valued = {name: declared for name, declared in op_def.ins.items() if not declared.is_nothing}
        if len(args) > len(valued):
            hint = "" if op_def.has_context else " Its function takes no context."
            raise InvalidInvocationError(
                f"'{op_def.name}' takes {len(valued)} inputs ({', '.join(valued) or 'none'}), and {len(args)} were "
                f"given.{hint}"
            )
        values: dict[str, Any] = dict(zip(valued, args, strict=False))
        for name, value in kwargs.items():
            if name in values:
                raise InvalidInvocationError(f"'{op_def.name}' was given its input '{name}' twice.")
            if name not in op_def.ins:
                known = [*op_def.ins, *op_def.resource_params]
                raise InvalidInvocationError(f"'{op_def.name}' has no input '{name}'.{did_you_mean(name, known)}")
            if name in valued:
                values[name] = value
        absent = [name for name in valued if name not in values]
        missing = [name for name in absent if not _filled(valued[name], values, name)]
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise InvalidInvocationError(
                f"'{op_def.name}' needs a value for its input {names}. Give one, or declare a default."
            )
        for name, value in values.items():
            mistake = valued[name].dagster_type.check(value)
            if mistake is not None:
                raise TypeCheckError(f"Input '{name}' of op '{op_def.name}' does not fit its type: {mistake}")
        return values

    def _as_value(self, given: Any) -> Any:
        """Return what user code gets of a resource that is given as an object, set up until the call has ended."""
        if not hasattr(type(given), "get_resource_definition"):
            return given
        return self.set_up.enter_context(given.process_config_and_initialize_cm())

    def returned(self) -> Any:
        """Call the body."""
        arguments = {**self.inputs, **self.parameters}
        token = contexts.enter(self.context)
        try:
            if self.op_def.has_context:
                return self.op_def.compute_fn(self.context, **arguments)
            return self.op_def.compute_fn(**arguments)
        finally:
            contexts.leave(token)

    def checked(self, returned: Any) -> Any:
        """Return what the body returned; lazy results are checked when they come."""
        if inspect.isgenerator(returned):
            return self._checked_items(returned)
        if inspect.isasyncgen(returned):
            return self._checked_async_items(returned)
        if inspect.isawaitable(returned):
            return self._checked_later(returned)
        names = [name for name in self.op_def.outs if name not in self.assets.left_out]
        for result in returned_results(self.op_def, returned, names):
            self._check(result)
        return returned

    def _checked_items(self, items: Iterator[Any]) -> Iterator[Any]:
        with self.set_up:
            for item in items:
                self._check(item)
                yield item

    async def _checked_async_items(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with self.set_up:
            async for item in items:
                self._check(item)
                yield item

    async def _checked_later(self, awaitable: Awaitable[Any]) -> Any:
        with self.set_up:
            return self.checked(await awaitable)

    def _check(self, result: Any) -> None:
        if not isinstance(result, Output):
            return
        name, op_def = result.output_name, self.op_def
        if name not in op_def.outs:
            raise InvalidInvocationError(f"Op '{op_def.name}' has no output '{name}'.{did_you_mean(name, op_def.outs)}")
        out = op_def.outs[name]
        mistake = None if out.is_nothing and result.value is None else out.dagster_type.check(result.value)
        if mistake is not None:
            raise TypeCheckError(f"Output '{name}' of op '{op_def.name}' does not fit its type: {mistake}")


def _filled(declared: In, values: dict[str, Any], name: str) -> bool:
    """Fill an input that has a default; tell whether it has one."""
    if declared.has_default_value:
        values[name] = declared.default_value
    return declared.has_default_value


def _assets_of(definition: AssetsDefinition) -> StepAssets:
    return StepAssets(
        definition,
        definition.keys_by_input_name,
        definition.keys_by_output_name,
        definition.specs_by_key,
    )
