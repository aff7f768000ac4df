"""What a job compiles to: steps in order, with everything that a server needs to know of them, and quickly."""

from __future__ import annotations

import time

import msgspec

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.layer import AssetLayer
from orchord.definitions.dependency import (
    DependencyDefinition,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    OutputMapping,
)
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.in_out import In, Out
from orchord.definitions.job import JobDefinition, job
from orchord.definitions.op import op
from orchord.definitions.retry import Backoff, Jitter, RetryPolicy
from orchord.definitions.types import Nothing
from orchord.plan.compile import compile_plan
from orchord.plan.model import ExecutionPlan, OutputRef, RetryRule, Step, StepInput, StepOutput


@op
def one(): ...


@op
def double(x): ...


@op
def total(values: list): ...


def test_a_step_holds_all_that_its_op_says():
    @op(
        description="words",
        ins={"start": In(Nothing), "x": In(input_manager_key="reader")},
        out={"a": Out(io_manager_key="disk"), "b": Out(Nothing), "c": Out(is_required=False)},
        tags={"t": "op", "u": "op"},
        retry_policy=RetryPolicy(3, delay=2, backoff=Backoff.EXPONENTIAL, jitter=Jitter.FULL),
        pool="db",
    )
    def rich(x, y=1): ...

    @job
    def made():
        rich.tag({"u": "use"})(one(), start=one())

    assert compile_plan(made).step("rich") == Step(
        key="rich",
        op_name="rich",
        inputs=(
            StepInput("x", (OutputRef("one", "result"),), input_manager_key="reader"),
            StepInput("y", has_default=True),
            StepInput("start", (OutputRef("one_2", "result"),), loads=False),
        ),
        outputs=(
            StepOutput("a", io_manager_key="disk"),
            StepOutput("b", stores=False),
            StepOutput("c", is_required=False),
        ),
        tags={"t": "op", "u": "use"},
        description="words",
        retry=RetryRule(3, 2, "EXPONENTIAL", "FULL"),
        pool="db",
        resource_keys=("disk", "io_manager", "reader"),
    )


def test_the_nearest_retry_policy_counts():
    retried = op(name="retried", retry_policy=RetryPolicy(2))(lambda: None)

    @job(op_retry_policy=RetryPolicy(1))
    def made():
        one()
        retried()
        retried.with_retry_policy(RetryPolicy(3)).alias("again")()

    plan = compile_plan(made)
    assert [step.retry.max_retries for step in plan.steps] == [1, 2, 3]


def test_the_explicit_form_compiles_as_the_traced_one_does():
    explicit = GraphDefinition(
        "explicit",
        node_defs=[one, double, total],
        dependencies={
            NodeInvocation("one", alias="first", tags={"a": "b"}): {},
            NodeInvocation("double", alias="twice", retry_policy=RetryPolicy(2)): {
                "x": DependencyDefinition("first", "result")
            },
            "total": {
                "values": MultiDependencyDefinition([DependencyDefinition("twice"), DependencyDefinition("one")])
            },
            "one": {},
        },
        output_mappings=[OutputMapping("sum", "total")],
    ).to_job()

    @job
    def traced():
        first = one.alias("first").tag({"a": "b"})()
        twice = double.alias("twice").with_retry_policy(RetryPolicy(2))(first)
        plain = one()
        total([twice, plain])

    by_name = compile_plan(traced).by_key
    plan = compile_plan(explicit)
    assert [step.key for step in plan.steps] == ["first", "twice", "one", "total"]
    assert {key: plan.step(key) for key in by_name} == by_name
    assert explicit.graph.output_names == ("sum",)


def test_explicit_graphs_nest_and_take_inputs():
    inner = GraphDefinition(
        "inner",
        node_defs=[double],
        dependencies={
            "double": {},
            NodeInvocation("double", "again"): {"x": DependencyDefinition("double")},
        },
        input_mappings=[InputMapping("x", "double", "x")],
        output_mappings=[OutputMapping("y", "again")],
    )
    outer = GraphDefinition(
        "outer", node_defs=[one, inner], dependencies={"inner": {"x": DependencyDefinition("one")}}
    ).to_job("made")
    assert compile_plan(outer).upstream == {"one": (), "inner.double": ("one",), "inner.again": ("inner.double",)}


def test_steps_written_in_any_order_come_after_what_feeds_them():
    made = GraphDefinition(
        "backwards",
        node_defs=[one, double],
        dependencies={
            NodeInvocation("double", "c"): {"x": DependencyDefinition("b")},
            NodeInvocation("double", "b"): {"x": DependencyDefinition("a")},
            NodeInvocation("one", "a"): {},
        },
    ).to_job()
    assert [step.key for step in compile_plan(made).steps] == ["a", "b", "c"]


def test_assets_of_inputs_and_outputs_are_named():
    made = GraphDefinition(
        "assets", node_defs=[one, double], dependencies={"double": {"x": DependencyDefinition("one")}}
    )
    layer = AssetLayer(
        outputs={("one", "result"): AssetKey(["raw", "numbers"]), ("double", "result"): AssetKey("doubled")},
        inputs={("double", "x"): AssetKey(["raw", "numbers"])},
    )
    plan = compile_plan(JobDefinition(made, asset_layer=layer))
    assert plan.step("one").asset_keys == ("raw/numbers",)
    assert plan.step("double").inputs[0].asset_key == "raw/numbers"


def test_an_asset_that_the_job_does_not_make_is_read_by_its_own_io_manager():
    key = AssetKey("elsewhere")
    layer = AssetLayer(inputs={("double", "x"): key}, io_manager_keys={key: "warehouse"})
    made = JobDefinition(GraphDefinition("assets", node_defs=[double]), asset_layer=layer)
    step = compile_plan(made).step("double")
    assert step.resource_keys == ("io_manager", "warehouse")
    assert (step.inputs[0].asset_key, step.inputs[0].sources) == ("elsewhere", ())
    assert made.resolve_run_config({}).inputs == {}


def test_an_input_may_name_its_asset_itself():
    @op(ins={"table": In(asset_key="raw_table")})
    def read(table): ...

    @job
    def made():
        read()

    (found,) = compile_plan(made).step("read").inputs
    assert (found.asset_key, found.sources, found.has_default) == ("raw_table", (), False)
    assert compile_plan(made).step("read").resource_keys == ("io_manager",)


def test_a_plan_is_data_and_comes_back_the_same():
    @job
    def made():
        total([one(), double(one())])

    plan = compile_plan(made)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=ExecutionPlan) == plan
    assert compile_plan(made) is plan


def test_five_thousand_steps_compile_in_well_under_a_second():
    @job
    def large():
        values = [one()]
        for number in range(1, 5000):
            values.append(double.alias(f"d{number}")(values[number // 2]))
        total(values[-200:])

    started = time.perf_counter()
    plan = compile_plan(large)
    assert len(plan.steps) == 5001
    assert len(plan.upstream[plan.steps[-1].key]) == 200
    assert time.perf_counter() - started < 1.0
    started = time.perf_counter()
    large.resolve_run_config({})
    assert time.perf_counter() - started < 1.0
