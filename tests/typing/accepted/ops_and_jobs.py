"""User code that the type checker must accept: ops, graphs, jobs, config, resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import orchord as dg
from orchord import Config, ConfigurableResource, In, OpExecutionContext, Out, Output, RetryPolicy, graph, job, op


class Window(Config):
    days: int = 7
    label: str


class Database(ConfigurableResource):
    url: str

    def rows(self) -> list[int]:
        return [len(self.url)]


@op
def bare() -> int:
    return 1


@op(description="With all of it", tags={"team": "data"}, retry_policy=RetryPolicy(max_retries=3, delay=0.5))
def with_everything(context: OpExecutionContext, config: Window, database: Database, number: int) -> int:
    context.log.info("days: %s, run: %s", config.days, context.run_id)
    return number + config.days + sum(database.rows())


@op(ins={"number": In(int)}, out={"small": Out(int, is_required=False), "large": Out(int, is_required=False)})
def split(number: int) -> Iterator[Output[int]]:
    yield Output(number, output_name="small" if number < 10 else "large")


@graph
def inner(number: int) -> Any:
    return bare.alias("again")()


@job(tags={"domain": "numbers"}, resource_defs={"database": Database(url="sqlite://")})
def work() -> None:
    small, _ = split(with_everything(bare()))
    inner(small)


assert_type(bare, dg.OpDefinition)
assert_type(with_everything, dg.OpDefinition)
assert_type(inner, dg.GraphDefinition)
assert_type(work, dg.JobDefinition)

result = work.execute_in_process(
    run_config=dg.RunConfig(ops={"with_everything": Window(label="x")}), raise_on_error=False
)
assert_type(result.success, bool)

plain = dg.build_op_context(resources={"database": Database(url="sqlite://")})
with_everything(plain, Window(label="x"), Database(url="sqlite://"), 1)
