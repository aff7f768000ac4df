"""Asset jobs: which steps a selection becomes, what is loaded from elsewhere, subsets, and what cannot be made."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError, InvalidSubsetError
from orchord.plan.compile import compile_plan


@dg.asset(io_manager_key="lake", group_name="numbers")
def base():
    return 2


@dg.asset(group_name="numbers")
def doubled(base):
    return base * 2


@dg.asset(deps=[doubled])
def after(context):
    return "done"


@dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()})
def split(doubled):
    return doubled - 1, doubled + 1


ALL = [base, doubled, after, split]


def job_of(selection, assets=ALL, **resources) -> dg.JobDefinition:
    job = dg.define_asset_job("picked", selection)
    resources = {"lake": dg.InMemoryIOManager(), **resources}
    return dg.Definitions(assets=assets, jobs=[job], resources=resources).get_job_def("picked")


def test_the_steps_are_the_selected_assets_in_order():
    plan = compile_plan(job_of("group:numbers"))
    assert [step.key for step in plan.steps] == ["base", "doubled"]
    assert plan.upstream == {"base": (), "doubled": ("base",)}
    assert plan.step("doubled").inputs[0].asset_key == "base"
    assert plan.step("base").outputs[0].io_manager_key == "lake"


def test_an_asset_outside_the_job_is_loaded_by_the_manager_that_stores_it():
    plan = compile_plan(job_of("doubled"))
    (step,) = plan.steps
    (only,) = step.inputs
    assert (only.sources, only.asset_key, only.input_manager_key) == ((), "base", "lake")
    assert "lake" in step.resource_keys


def test_a_dependency_that_loads_nothing_orders_the_steps():
    plan = compile_plan(job_of(["doubled", "after"]))
    assert plan.upstream["after"] == ("doubled",)
    assert not plan.step("after").inputs[0].loads


@pytest.mark.parametrize(
    "selection", [None, "*", dg.AssetSelection.all(), ALL, ["base", "doubled", "after", split], "base*"]
)
def test_selections_are_given_in_any_form(selection):
    job = dg.define_asset_job("picked", selection) if selection else dg.define_asset_job("picked")
    defs = dg.Definitions(assets=ALL, jobs=[job], resources={"lake": dg.InMemoryIOManager()})
    assert {step.key for step in compile_plan(defs.get_job_def("picked")).steps} == {
        "base",
        "doubled",
        "after",
        "split",
    }


def test_part_of_what_one_step_makes_is_refused_with_the_fix():
    with pytest.raises(InvalidDefinitionError) as caught:
        job_of("low")
    text = str(caught.value)
    assert "asset job 'picked': 'split' makes low together with high, which the selection leaves out." in text
    assert "Select all of them (.required_multi_asset_neighbors()), or set can_subset=True" in text


def test_an_unknown_asset_in_a_selection_is_told_with_the_nearest():
    with pytest.raises(InvalidDefinitionError, match=r"asset job 'picked': no asset has the key 'bsae'\. Did you mean"):
        job_of("bsae")


def test_a_name_tags_and_owners_that_cannot_be_are_refused_at_once():
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.define_asset_job("not a name", owners=["nobody"])
    text = str(caught.value)
    assert text.startswith("Asset job 'not a name' (assets/test_asset_jobs.py:")
    assert "a job cannot be named 'not a name'" in text
    assert "it has the owner 'nobody'" in text


def test_a_selection_that_cannot_be_read_is_refused_when_it_is_written():
    with pytest.raises(InvalidSubsetError, match="cannot be read"):
        dg.define_asset_job("picked", "a b")


def test_job_options_reach_the_job():
    @dg.success_hook
    def hook(context): ...

    policy = dg.RetryPolicy(max_retries=1)
    job = dg.define_asset_job(
        "picked",
        "doubled",
        description="Doubles.",
        tags={"a": "1"},
        run_tags={"b": "2"},
        metadata={"m": 1},
        executor_def=dg.in_process_executor,
        hooks={hook},
        op_retry_policy=policy,
        owners=["team:data"],
        config=dg.RunConfig(),
    )
    made = dg.Definitions(assets=ALL, jobs=[job], resources={"lake": dg.InMemoryIOManager()}).get_job_def("picked")
    assert (made.description, made.tags, made.tags_of_runs) == ("Doubles.", {"a": "1"}, {"b": "2"})
    assert made.executor_def is dg.in_process_executor
    assert made.step_hooks("doubled") == {hook}
    assert made.op_retry_policy is policy
    assert made.owners == ("team:data",)


def test_a_job_over_part_of_the_assets_reads_what_an_earlier_one_stored(tmp_path):
    resources = {"lake": dg.FilesystemIOManager(base_dir=str(tmp_path)), "io_manager": dg.InMemoryIOManager()}
    assert dg.materialize([base], resources=resources).success
    result = dg.materialize([base, doubled], selection="doubled", resources=resources)
    assert result.asset_value("doubled") == 4
    assert [str(event.asset_key) for event in result.get_asset_materialization_events()] == ["doubled"]


def test_a_body_that_can_subset_makes_the_selected_assets_alone():
    @dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()}, can_subset=True)
    def either(context):
        for key in sorted(context.selected_asset_keys):
            yield dg.Output(1, output_name=key.path[-1])

    result = dg.materialize_to_memory([either], selection="high")
    assert [str(event.asset_key) for event in result.get_asset_materialization_events()] == ["high"]
    layer = job_of("high", [either]).asset_layer
    assert layer is not None
    assert set(layer.outputs.values()) == {dg.AssetKey("high")}


def test_a_body_that_can_subset_runs_twice_when_another_asset_stands_between_its_own():
    @dg.multi_asset(
        specs=[dg.AssetSpec("first"), dg.AssetSpec("third", deps=["second"]), dg.AssetSpec("other")], can_subset=True
    )
    def tables(context):
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(key)

    @dg.asset(deps=["first"])
    def second(): ...

    plan = compile_plan(job_of("*", [tables, second]))
    assert {step.key: step.asset_keys for step in plan.steps} == {
        "tables": ("first", "other"),
        "second": ("second",),
        "tables_2": ("third",),
    }
    assert plan.upstream == {"tables": (), "second": ("tables",), "tables_2": ("second",)}
    result = dg.materialize_to_memory([tables, second])
    made = [str(event.asset_key) for event in result.get_asset_materialization_events()]
    assert made == ["first", "other", "second", "third"]


def test_a_graph_asset_reads_and_makes_through_its_inner_steps():
    @dg.op
    def increment(number):
        return number + 1

    @dg.graph_asset
    def twice(base):
        return increment(increment(base))

    job = job_of("twice", [base, twice])
    layer = job.asset_layer
    assert layer is not None
    assert layer.outputs == {("twice.increment_2", "result"): dg.AssetKey("twice")}
    assert layer.inputs == {("twice.increment", "number"): dg.AssetKey("base")}
    assert set(layer.definitions_by_step) == {"twice.increment", "twice.increment_2"}
    assert layer.step_keys_of({dg.AssetKey("twice")}) == ("twice.increment", "twice.increment_2")
