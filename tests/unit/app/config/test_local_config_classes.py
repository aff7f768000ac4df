"""Config classes that stand in a function, in modules whose annotations are texts: found wherever one is read."""

from __future__ import annotations

from typing import Any

import orchord as dg


@dg.op(config_schema={"m": int})
def give(context):
    return context.op_config["m"]


def run(definition: Any, config: Any) -> Any:
    @dg.job
    def one():
        definition()

    result = one.execute_in_process({"ops": {definition.name: {"config": config}}})
    return next(iter(result.values.values()))


def test_of_ops_and_assets():
    class Inner(dg.Config):
        x: int

    class Outer(dg.Config):
        inner: Inner

    @dg.op
    def reads(config: Outer):
        return config.inner.x

    @dg.asset
    def table(config: Outer):
        return config.inner.x

    config = {"inner": {"x": 2}}
    assert run(reads, config) == 2
    made = dg.materialize_to_memory([table], run_config={"ops": {"table": {"config": config}}})
    assert made.asset_value("table") == 2


def test_of_configured():
    class Simple(dg.Config):
        n: int

    def from_simple(config: Simple):
        return {"m": config.n}

    @dg.configured(give)
    def decorated(config: Simple):
        return {"m": config.n * 10}

    assert run(give.configured(from_simple, name="mapped"), {"n": 4}) == 4
    assert run(decorated, {"n": 4}) == 40

    @dg.resource(config_schema={"m": int})
    def sized(context):
        return context.resource_config["m"]

    with dg.build_resources(
        {"r": sized.configured(from_simple)}, resource_config={"r": {"config": {"n": 7}}}
    ) as opened:
        assert opened.r == 7


def test_of_mappings_of_jobs_and_graphs():
    class Simple(dg.Config):
        n: int

    @dg.config_mapping
    def of_job(value: Simple) -> dg.RunConfig:
        return dg.RunConfig(ops={"give": {"config": {"m": value.n}}})

    @dg.config_mapping
    def of_graph(value: Simple):
        return {"give": {"config": {"m": value.n}}}

    def doubled(value: Simple):
        return {"n": value.n * 2}

    @dg.job(config=of_job)
    def mapped():
        give()

    @dg.graph(config=of_graph)
    def inner():
        give()

    assert mapped.execute_in_process({"n": 3}).output_for_node("give") == 3
    assert run(inner, {"n": 5}) == 5
    assert run(inner.configured(doubled, name="twice"), {"n": 5}) == 10


def test_from_a_function_around():
    class Simple(dg.Config):
        n: int

    def make(name: str):
        @dg.configured(give, name=name)
        def of_simple(config: Simple):
            return {"m": config.n}

        return of_simple

    assert run(make("made"), {"n": 6}) == 6


def test_annotations_that_nothing_resolves_count_as_absent():
    def unknown(config: NoSuchClass):  # noqa: F821
        return {"m": config["n"]}

    assert run(give.configured(unknown, name="mapped", config_schema={"n": int}), {"n": 4}) == 4
    assert run(give.configured(unknown, name="free"), {"n": 4}) == 4
