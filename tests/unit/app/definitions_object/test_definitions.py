"""Definitions: late binding of resources, executors and loggers, asset jobs, merging, and what can be asked of it."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import AssetNotFoundError, InvalidDefinitionError, JobNotFoundError, NotFoundError


@dg.op(required_resource_keys={"db"})
def query(context):
    return context.resources.db


@dg.job
def querying():
    query()


@dg.asset
def number():
    return 3


@dg.asset
def doubled(number):
    return number * 2


def test_loose_resources_bind_to_jobs_that_lack_them():
    @dg.job(resource_defs={"db": dg.ResourceDefinition.hardcoded_resource("own")})
    def with_own():
        query()

    defs = dg.Definitions(jobs=[querying, with_own], resources={"db": "shared"})
    assert defs.get_job_def("querying").execute_in_process().output_for_node("query") == "shared"
    assert defs.get_job_def("with_own").execute_in_process().output_for_node("query") == "own"


def test_a_jobs_own_resource_wins_wherever_the_job_is_given():
    def named(name):
        return dg.ResourceDefinition.hardcoded_resource(name)

    @dg.job(resource_defs={"db": named("own")})
    def with_own():
        query()

    scheduled = dg.ScheduleDefinition(job=with_own, cron_schedule="0 0 * * *")
    defs = dg.Definitions(schedules=[scheduled], resources={"db": "shared", "other": 1})
    bound = defs.get_job_def("with_own")
    assert bound.execute_in_process().output_for_node("query") == "own"
    assert set(bound.resource_defs) == {"db", "other", "io_manager"}
    assert bound.execute_in_process(resources={"db": "for this run"}).output_for_node("query") == "for this run"
    assert "other" not in with_own.resource_defs


def test_a_jobs_own_io_manager_wins_and_what_it_needs_is_bound():
    used = []

    class Noting(dg.IOManager):
        def __init__(self, name):
            self.name = name

        def handle_output(self, context, obj):
            used.append(self.name)

        def load_input(self, context):
            return None

    @dg.io_manager(required_resource_keys={"suffix"})
    def own(context):
        return Noting(f"own {context.resources.suffix}")

    @dg.op
    def one():
        return 1

    @dg.job(resource_defs={"io_manager": own})
    def with_own():
        one()

    @dg.job
    def with_none():
        one()

    defs = dg.Definitions(jobs=[with_own, with_none], resources={"io_manager": Noting("shared"), "suffix": "one"})
    for name in ("with_own", "with_none"):
        assert defs.get_job_def(name).execute_in_process().success
    assert used == ["own one", "shared"]


def test_a_resource_of_an_asset_comes_before_that_of_the_location():
    @dg.asset(resource_defs={"db": dg.ResourceDefinition.hardcoded_resource("own")})
    def table(context):
        return context.resources.db

    job = dg.Definitions(assets=[table], resources={"db": "shared"}).get_implicit_global_asset_job_def()
    assert job.execute_in_process().asset_value("table") == "own"


def test_the_executor_is_that_of_jobs_which_name_none():
    @dg.job(executor_def=dg.multiprocess_executor)
    def chosen():
        query()

    defs = dg.Definitions(
        assets=[number],
        jobs=[querying, chosen, dg.define_asset_job("numbers", executor_def=dg.k8s_job_executor)],
        resources={"db": 1},
        executor=dg.in_process_executor,
    )
    names = {job.name: job.executor_def.name for job in defs.get_all_job_defs()}
    assert names == {
        "querying": "in_process_executor",
        "chosen": "multiprocess_executor",
        "numbers": "k8s_job_executor",
        "__ASSET_JOB": "in_process_executor",
    }


def test_loggers_reach_jobs_that_do_not_define_them():
    @dg.logger
    def console(context): ...

    @dg.job(logger_defs={"console": console})
    def own():
        query()

    @dg.logger
    def other(context): ...

    defs = dg.Definitions(jobs=[own, querying], resources={"db": 1}, loggers={"console": other})
    assert defs.get_job_def("own").logger_defs["console"] is console
    assert defs.get_job_def("querying").logger_defs["console"] is other


def test_a_location_with_assets_has_the_implicit_job_and_one_without_has_not():
    assert set(dg.Definitions(assets=[number, doubled]).get_implicit_global_asset_job_def().wiring.ops) == {
        "number",
        "doubled",
    }
    with pytest.raises(JobNotFoundError, match="No job is named '__ASSET_JOB'"):
        dg.Definitions(assets=[dg.AssetSpec("outside")]).get_implicit_global_asset_job_def()


def test_lists_of_assets_are_taken_apart_and_the_same_object_counts_once():
    defs = dg.Definitions(assets=[[number, doubled], number, (dg.AssetSpec("outside"),)])
    assert {str(key) for key in defs.get_asset_graph().keys} == {"number", "doubled", "outside"}


def test_jobs_of_schedules_and_sensors_need_not_be_listed():
    numbers = dg.define_asset_job("numbers")

    @dg.schedule(cron_schedule="0 0 * * *", job=numbers)
    def nightly(): ...

    @dg.sensor(target=[number])
    def watcher(): ...

    defs = dg.Definitions(assets=[number], schedules=[nightly], sensors=[watcher])
    assert set(defs.resolve().jobs) == {"numbers", "__anonymous_asset_job_watcher", "__ASSET_JOB"}
    assert defs.get_schedule_def("nightly") is nightly
    assert defs.get_sensor_def("watcher") is watcher


def test_a_graph_is_taken_as_a_job():
    @dg.graph
    def steps():
        query()

    assert set(dg.Definitions(jobs=[steps], resources={"db": 1}).resolve().jobs) == {"steps"}


def test_resolving_is_done_once():
    defs = dg.Definitions(assets=[number])
    assert defs.resolve() is defs.resolve() is defs.get_repository_def()
    dg.Definitions.validate_loadable(defs)


def test_merge_joins_everything():
    shared = dg.ResourceDefinition.hardcoded_resource(1)
    merged = dg.Definitions.merge(
        dg.Definitions(assets=[number], resources={"db": shared, "limit": 3}, metadata={"a": 1}),
        dg.Definitions(assets=[doubled], jobs=[querying], resources={"db": shared, "limit": 3}, metadata={"b": 2}),
        dg.Definitions(executor=dg.in_process_executor),
    )
    repository = merged.resolve()
    assert set(repository.jobs) == {"querying", "__ASSET_JOB"}
    assert repository.executor is dg.in_process_executor
    assert dict(repository.metadata) == {"a": 1, "b": 2}


def test_merge_tells_all_that_does_not_fit_together():
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.Definitions.merge(
            dg.Definitions(resources={"db": object()}, executor=dg.in_process_executor),
            dg.Definitions(resources={"db": object()}, executor=dg.celery_executor),
        )
    text = str(caught.value)
    assert text.startswith("Definitions cannot be merged (2 mistakes):")
    assert "they have different executors (in_process_executor, celery_executor): keep one" in text
    assert "they have different resources under the key 'db': keep one of them" in text


def test_what_is_not_there_is_told_with_the_nearest():
    defs = dg.Definitions(assets=[number], jobs=[querying], resources={"db": 1})
    with pytest.raises(JobNotFoundError, match=r"No job is named 'queryign'\. Did you mean 'querying'\?"):
        defs.get_job_def("queryign")
    with pytest.raises(AssetNotFoundError, match=r"Nothing makes an asset 'nmuber'\. Did you mean 'number'\?"):
        defs.get_assets_def("nmuber")
    with pytest.raises(NotFoundError, match="No schedule is named 'x'"):
        defs.get_schedule_def("x")
    with pytest.raises(NotFoundError, match="No sensor is named 'x'"):
        defs.get_sensor_def("x")
    assert defs.get_assets_def("number") is number


def test_an_assets_value_is_loaded_by_its_io_manager(tmp_path):
    resources = {"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path))}
    defs = dg.Definitions(assets=[number, doubled], resources=resources)
    assert dg.materialize([number, doubled], resources=resources).success
    assert defs.load_asset_value("doubled") == 6
    with pytest.raises(AssetNotFoundError, match="Nothing makes an asset 'dubled'"):
        defs.load_asset_value("dubled")


def test_definitions_of_a_function_are_made_when_asked_for():
    @dg.definitions
    def lazily():
        return dg.Definitions(assets=[number])

    assert isinstance(lazily(), dg.Definitions)

    @dg.definitions
    def wrongly():
        return 3

    with pytest.raises(InvalidDefinitionError, match="'wrongly' under @definitions gives 3; give a Definitions."):
        wrongly()


def test_its_repr_counts():
    assert repr(dg.Definitions(assets=[number, doubled], jobs=[querying])) == "<Definitions 2 assets, 1 jobs>"


def test_newer_names_ask_the_same():
    @dg.asset(description="rows")
    def table(): ...

    defs = dg.Definitions(assets=[table], jobs=[dg.define_asset_job("all_of_it")])
    assert [job.name for job in defs.resolve_all_job_defs()] == [job.name for job in defs.get_all_job_defs()]
    assert defs.resolve_job_def("all_of_it") is defs.get_job_def("all_of_it")
    assert defs.resolve_asset_graph().get_all_asset_keys() == {dg.AssetKey("table")}
    assert defs.resolve_asset_graph().get(dg.AssetKey("table")).parent_keys == frozenset()
    assert table.descriptions_by_key == {dg.AssetKey("table"): "rows"}
