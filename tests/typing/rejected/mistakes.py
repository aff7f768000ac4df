"""User code that the type checker must reject: each marked line, with those codes, and no other line."""

from __future__ import annotations

from typing import Any

import orchord as dg


class Window(dg.Config):
    days: int = 7
    label: str


class Store(dg.ConfigurableResource):
    url: str


@dg.op(descriptio="no such parameter")  # expect-error: call-overload, untyped-decorator
def misspelled() -> int:
    return 1


@dg.op(retry_policy=3)  # expect-error: call-overload, untyped-decorator
def policy_is_a_number() -> int:
    return 1


@dg.op
def careless(context: dg.OpExecutionContext, config: Window) -> int:
    context.log.inof("no such method")  # expect-error: attr-defined
    context.nothing  # expect-error: attr-defined
    return config.day  # expect-error: attr-defined, no-any-return


@dg.asset(group_nam="x")  # expect-error: call-overload, untyped-decorator
def misnamed() -> int:
    return 1


@dg.job(tags=["a"])  # expect-error: call-overload, untyped-decorator
def tags_are_a_list() -> None:
    careless()


Window(days="seven", label="x")  # expect-error: arg-type
Window(days=7)  # expect-error: call-arg
Store(address="x")  # expect-error: call-arg
dg.RetryPolicy(max_retries="3")  # expect-error: arg-type
dg.In(defaultvalue=3)  # expect-error: call-arg
dg.ScheduleDefinition(job=careless, cron_schedule=5)  # expect-error: arg-type
dg.Definitions(job=[tags_are_a_list])  # expect-error: call-arg
dg.AssetKey(5)  # expect-error: arg-type
dg.AssetSelection.groups(1)  # expect-error: arg-type
dg.materialize(careless)  # expect-error: arg-type
dg.MaterializeResult(metadat={})  # expect-error: call-arg
careless.retry_policy = 3  # expect-error: assignment
dg.no_such_name  # expect-error: attr-defined


class Shelf(dg.IOManager):
    def handle_output(self, context: dg.InputContext, obj: Any) -> None:  # expect-error: override
        pass

    def load_input(self, context: dg.InputContext) -> Any:
        return None
