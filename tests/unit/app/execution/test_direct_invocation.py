"""Calling ops and assets as functions: arguments, contexts, config and resources, and values that are checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import orchord as dg
from orchord.definitions.assets.decorators import asset, multi_asset
from orchord.definitions.assets.results import AssetMaterialization, MaterializeResult
from orchord.definitions.assets.spec import AssetSpec
from orchord.definitions.config import Config
from orchord.definitions.in_out import In, Out
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.resources import ConfigurableResource, resource
from orchord.definitions.types import Nothing
from orchord.errors import InvalidConfigError, InvalidInvocationError, TypeCheckError
from orchord.execution.build_context import build_asset_context, build_op_context
from orchord.execution.contexts import OpExecutionContext


@op
def add(x: int, y: int = 2) -> int:
    return x + y


@op
def with_context(context: OpExecutionContext, x: int) -> Any:
    return context.run_id, x, context.op_config


class Limits(Config):
    top: int = 3


@op
def configured(config: Limits) -> int:
    return config.top


class Store(ConfigurableResource):
    name: str = "default"


@op
def stores(store: Store, x: int = 1) -> str:
    return f"{store.name} {x}"


@op(required_resource_keys={"db"})
def queries(context: OpExecutionContext) -> Any:
    return context.resources.db


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: add(1), 3),
        (lambda: add(1, 3), 4),
        (lambda: add(y=5, x=1), 6),
        (lambda: add(build_op_context(), 1), 3),
        (lambda: with_context(None, 1), ("EPHEMERAL", 1, None)),
        (lambda: with_context(build_op_context(op_config={"a": 1}), 1), ("EPHEMERAL", 1, {"a": 1})),
        (lambda: with_context(context=build_op_context(), x=2), ("EPHEMERAL", 2, None)),
        (lambda: configured(), 3),
        (lambda: configured(Limits(top=4)), 4),
        (lambda: configured(config=Limits(top=5)), 5),
        (lambda: configured(config={"top": 6}), 6),
        (lambda: configured(build_op_context(op_config={"top": 7})), 7),
        (lambda: configured(build_op_context(config=Limits(top=8))), 8),
        (lambda: stores(store=Store(name="a")), "a 1"),
        (lambda: stores(Store(name="b")), "b 1"),
        (lambda: stores(5, store=Store(name="c")), "c 5"),
        (lambda: stores(build_op_context(resources={"store": Store(name="d")}), 6), "d 6"),
        (lambda: queries(build_op_context(resources={"db": "connection", "other": 1})), "connection"),
    ],
)
def test_arguments_find_their_places(call: Any, value: Any) -> None:
    assert call() == value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add(), "'add' needs a value for its input 'x'"),
        (lambda: add(1, 2, 3), r"'add' takes 2 inputs \(x, y\), and 3 were given. Its function takes no context"),
        (lambda: add(1, x=1), "'add' was given its input 'x' twice"),
        (lambda: add(1, yy=1), "'add' has no input 'yy'. Did you mean 'y'?"),
        (lambda: with_context(1), r"'with_context' takes a context, and was called without one.*build_op_context\(\)"),
        (lambda: stores(), r"'stores' requires resources that were not given: store. Give them: build_op_context"),
        (lambda: queries(build_op_context()), "'queries' requires resources that were not given: db"),
        (lambda: stores(build_op_context({"store": Store()}), store=Store()), "Resource 'store' is given twice"),
        (lambda: configured(build_op_context(op_config={"top": 1}), config=Limits()), "'configured' has config twice"),
    ],
)
def test_arguments_that_do_not_fit_are_errors_that_say_what_to_do(call: Any, message: str) -> None:
    with pytest.raises(InvalidInvocationError, match=message):
        call()


def test_config_and_values_are_checked() -> None:
    @op(config_schema={"top": int})
    def schemed(context: Any) -> Any:
        return context.op_config

    with pytest.raises(InvalidConfigError, match=r"config.top: found 'x' \(String\), expected Int"):
        schemed(build_op_context(op_config={"top": "x"}))
    with pytest.raises(TypeCheckError, match="Input 'x' of op 'add' does not fit its type"):
        add("text")


def test_what_comes_back_is_what_the_body_returned_and_it_is_checked() -> None:
    @op
    def with_output() -> Output[int]:
        return Output(5, metadata={"a": 1})

    @op(out={"a": Out(int), "b": Out(int)})
    def generator() -> Iterator[Any]:
        yield AssetMaterialization("orders")
        yield Output(1, "a")
        yield Output("text", "b")

    @op
    async def coroutine() -> int:
        return "text"  # type: ignore[return-value]

    @op
    async def async_generator() -> AsyncIterator[Any]:
        yield Output(1)

    assert with_output() == Output(5, metadata={"a": 1})
    items = generator()
    assert [type(next(items)).__name__ for _ in range(2)] == ["AssetMaterialization", "Output"]
    with pytest.raises(TypeCheckError, match="Output 'b' of op 'generator'"):
        next(items)
    with pytest.raises(TypeCheckError, match="Output 'result' of op 'coroutine'"):
        asyncio.run(coroutine())

    async def all_items() -> list[Any]:
        return [item async for item in async_generator()]

    assert asyncio.run(all_items()) == [Output(1)]


def test_order_is_no_argument() -> None:
    @op(ins={"after": In(Nothing)})
    def ordered(x: int) -> int:
        return x

    assert ordered(1) == ordered(1, after=None) == 1


def test_assets_are_called_like_ops() -> None:
    @asset
    def orders() -> list[int]:
        return [1, 2]

    @asset
    def total(context: Any, orders: list[int]) -> Any:
        return context.asset_key.to_user_string(), sum(orders)

    @multi_asset(specs=[AssetSpec("a"), AssetSpec("b")])
    def both() -> Any:
        return MaterializeResult("a"), MaterializeResult("b", value=3)

    assert total(build_asset_context(), orders()) == ("total", 3)
    assert total(None, orders=[5]) == ("total", 5)
    assert [result.asset_key.to_user_string() for result in both()] == ["a", "b"]


def test_what_the_body_said_is_on_the_context_until_the_next_call() -> None:
    @op
    def talks(context: OpExecutionContext) -> int:
        context.log.info("hello")
        context.log_event(AssetMaterialization("orders"))
        context.add_output_metadata({"rows": 3})
        assert OpExecutionContext.get() is context
        return 1

    context = build_op_context(run_tags={"team": "a"}, retry_number=2)
    for _ in range(2):
        talks(context)
        assert [event.asset_key.to_user_string() for event in context.get_events()] == ["orders"]
        assert context.get_output_metadata("result")["rows"].value == 3
    assert (context.get_tag("team"), context.retry_number, context.op_def) == ("a", 2, talks)


def test_resources_of_a_context_are_torn_down_with_it() -> None:
    order = []

    @resource
    def db(context: Any) -> Iterator[int]:
        order.append("up")
        yield 1
        order.append("down")

    with build_op_context(resources={"db": db}) as context:
        assert queries(context) == 1
        assert order == ["up"]
    assert order == ["up", "down"]


def test_the_context_of_a_running_step_is_not_for_direct_calls() -> None:
    from orchord.definitions.job import job

    @op
    def outer(context: Any) -> Any:
        return with_context(context, 1)

    @job
    def calling() -> None:
        outer()

    with pytest.raises(InvalidInvocationError, match="called with the context of a running step"):
        calling.execute_in_process()


class _Door(dg.ConfigurableResource):
    name: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[_Door]:
        told.append(f"open {self.name}")
        try:
            yield self
        finally:
            told.append(f"shut {self.name}")


told: list[str] = []


def test_a_resource_that_is_given_is_torn_down_when_the_call_has_ended() -> None:
    @dg.op
    def enter(door: _Door) -> str:
        told.append("in")
        return door.name

    @dg.op(out={"a": dg.Out(), "b": dg.Out()})
    def several(door: _Door) -> Iterator[dg.Output[str]]:
        yield dg.Output(door.name, "a")
        told.append("between")
        yield dg.Output(door.name, "b")

    @dg.op
    async def later(door: _Door) -> str:
        told.append("late")
        return door.name

    told.clear()
    assert enter(door=_Door(name="d")) == "d"
    assert told == ["open d", "in", "shut d"]
    told.clear()
    assert len(list(several(_Door(name="e")))) == 2
    assert told == ["open e", "between", "shut e"]
    told.clear()
    assert asyncio.run(later(_Door(name="f"))) == "f"
    assert told == ["open f", "late", "shut f"]
    told.clear()
    with pytest.raises(dg.InvalidInvocationError, match="no input 'nothing'"):
        enter(door=_Door(name="g"), nothing=1)
    assert told == ["open g", "shut g"]


def test_what_a_body_says_of_an_asset_is_there_as_it_was_said() -> None:
    @dg.asset
    def table() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"rows": 3})

    assert table().metadata["rows"] == 3
    assert dg.ObserveResult(metadata={"rows": 3}).metadata == {"rows": 3}
    with pytest.raises(dg.InvalidDefinitionError):
        dg.MaterializeResult(metadata={"rows": object()})
