"""Calling the user's function, and reading what it returns or yields as one stream of results and events.

Functions, generators, coroutines and async generators all end here. What a result means for the step is outputs.py;
what is checked before the call, inputs.py.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from orchord.definitions.assets.results import AssetMaterialization, AssetObservation, MaterializeResult, ObserveResult
from orchord.definitions.output import DEFAULT_OUTPUT, Output
from orchord.errors import InvariantViolationError
from orchord.execution.expectations import ExpectationResult

if TYPE_CHECKING:
    from orchord.definitions.op import OpDefinition
    from orchord.execution.contexts import OpExecutionContext

#: What a body may yield.
YIELDABLE = (
    Output,
    MaterializeResult,
    ObserveResult,
    AssetMaterialization,
    AssetObservation,
    ExpectationResult,
)
_ASSET_RESULTS = (MaterializeResult, ObserveResult)
_END: Any = object()
_EVENTS = (AssetMaterialization, AssetObservation, ExpectationResult)


def call_body(
    op_def: OpDefinition, context: OpExecutionContext, inputs: Mapping[str, Any], config: Any, resources: Any
) -> Any:
    """Call the user's function with what its signature asks for; return what it returned, not yet run if lazy."""
    arguments = dict(inputs)
    if op_def.config_param is not None:
        arguments[op_def.config_param] = config
    for parameter, key in op_def.resource_params.items():
        arguments[parameter] = getattr(resources, key)
    if op_def.has_context:
        return op_def.compute_fn(context, **arguments)
    return op_def.compute_fn(**arguments)


def results_of(op_def: OpDefinition, returned: Any, wanted: Sequence[str]) -> Generator[Any, None, None]:
    """Yield each Output, asset result and event of a body, running it as far as it is lazy.

    Args:
        op_def: whose body it is.
        returned: what the call returned.
        wanted: the outputs that this run wants, in order; a returned tuple has one value for each.

    Raises:
        InvariantViolationError: something was returned or yielded that stands for no output and no event.
    """
    if inspect.isgenerator(returned):
        yield from _yielded(op_def, returned)
    elif inspect.isasyncgen(returned):
        yield from _yielded(op_def, _iterated(returned))
    elif inspect.iscoroutine(returned):
        yield from results_of(op_def, run_coroutine(returned), wanted)
    else:
        yield from returned_results(op_def, returned, wanted)


def returned_results(op_def: OpDefinition, value: Any, wanted: Sequence[str]) -> Iterator[Any]:
    """Yield an Output or asset result for each value that a body returned at once."""
    if isinstance(value, _EVENTS):
        raise InvariantViolationError(
            f"Op '{op_def.name}' returned {type(value).__name__}, which is an event and not a value. "
            "Yield it, or give it to context.log_event(...)."
        )
    if not wanted:
        if value is not None and not isinstance(value, _ASSET_RESULTS):
            raise InvariantViolationError(
                f"Op '{op_def.name}' returned a value of type '{type(value).__name__}', but declares no output. "
                "Declare one with out=Out(), or return nothing."
            )
        values: tuple[Any, ...] = () if value is None else (value,)
    elif len(wanted) == 1:
        values = (value,)
    else:
        values = _several(op_def, value, wanted)
    for position, one in enumerate(values):
        if isinstance(one, _ASSET_RESULTS):
            yield one
        else:
            yield _as_output(op_def, wanted[position], one)


def _several(op_def: OpDefinition, value: Any, wanted: Sequence[str]) -> tuple[Any, ...]:
    if value is None and all(op_def.outs[name].is_nothing for name in wanted):
        return ()
    if isinstance(value, tuple) and (len(value) == len(wanted) or any(isinstance(v, _ASSET_RESULTS) for v in value)):
        return value
    if isinstance(value, _ASSET_RESULTS):
        return (value,)
    size = f" of {len(value)}" if isinstance(value, tuple) else ""
    raise InvariantViolationError(
        f"Op '{op_def.name}' has {len(wanted)} outputs ({', '.join(wanted)}) and returned one "
        f"{type(value).__name__}{size}. Return a tuple with a value for each, or yield an Output for each."
    )


def _as_output(op_def: OpDefinition, name: str, value: Any) -> Output[Any]:
    if not isinstance(value, Output):
        return Output(value, name)
    if value.output_name == name:
        return value
    if value.output_name != DEFAULT_OUTPUT:
        raise InvariantViolationError(
            f"Op '{op_def.name}' returned an Output named '{value.output_name}' in the place of output '{name}'. "
            "Return outputs in the order in which they are declared, or yield them."
        )
    return Output(value.value, name, value.metadata, data_version=value.data_version, tags=value.tags)


def _yielded(op_def: OpDefinition, items: Generator[Any, Any, Any]) -> Iterator[Any]:
    # Closed also when a result is refused half way, so that the user's ``finally`` runs then and not some time later.
    with closing(items):
        for item in items:
            if not isinstance(item, YIELDABLE):
                raise InvariantViolationError(
                    f"Op '{op_def.name}' yielded a value of type '{type(item).__name__}'. A generator yields "
                    "Output(value, output_name), MaterializeResult or events; an op with one plain value returns it."
                )
            if isinstance(item, Output) and item.output_name == DEFAULT_OUTPUT and len(op_def.outs) == 1:
                yield _as_output(op_def, next(iter(op_def.outs)), item)
            else:
                yield item


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, also where an event loop is running in this thread (a notebook)."""
    with _Loop() as loop:
        return loop.run(coroutine)


def _iterated(items: AsyncGenerator[Any, Any]) -> Generator[Any, None, None]:
    with _Loop() as loop:
        try:
            while True:
                item = loop.run(_next(items))
                if item is _END:
                    return
                yield item
        finally:
            loop.run(_closed(items))


async def _next(items: AsyncGenerator[Any, Any]) -> Any:
    return await anext(items, _END)


async def _closed(items: AsyncGenerator[Any, Any]) -> None:
    await items.aclose()


class _Loop:
    """An event loop for one body: in this thread, or in another one if this thread has a loop that is running."""

    def __enter__(self) -> _Loop:
        self._runner = asyncio.Runner()
        self._thread: ThreadPoolExecutor | None = None
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="orchord-async-body")
        self._context = contextvars.copy_context()
        return self

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._thread is None:
            return self._runner.run(coroutine)
        return self._thread.submit(self._context.run, self._runner.run, coroutine).result()

    def __exit__(self, *exc_info: object) -> None:
        if self._thread is None:
            self._runner.close()
        else:
            self._thread.submit(self._runner.close).result()
            self._thread.shutdown()
