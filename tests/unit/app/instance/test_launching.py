"""Launching: what is recorded and handed over, and how every mistake of a request is told at once."""

from __future__ import annotations

import pytest

from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.resources import ResourceDefinition
from orchord.errors import (
    ConflictError,
    InvalidConfigError,
    InvalidSubsetError,
    JobNotFoundError,
    LocationNotFoundError,
)
from orchord.events import ErrorInfo
from orchord.instance import LaunchRequest
from orchord.runs import RunStatus, new_run_id
from orchord.snapshot import job_snapshot


@op
def nothing(): ...


def launched(instance, **fields):
    run, created = instance.launch(LaunchRequest(**({"job_name": "diamond"} | fields)))
    assert created
    return run


class TestWhatIsRecorded:
    def test_a_run_is_stored_and_handed_over(self, instance):
        run_id = new_run_id()
        run = launched(instance, run_id=run_id, tags={"who": "me"})
        assert instance.storage.runs.get(run_id) == run
        assert (run.run_id, run.job_name, run.location, run.status) == (run_id, "diamond", "home", RunStatus.STARTING)
        assert run.tags == {"team": "data", "who": "me"}
        assert run.step_keys is None
        assert run.job_snapshot_id == instance.job_snapshot(run.job_snapshot_id).snapshot_id
        (context,) = instance.run_launcher.launched
        assert (context.run, context.instance) == (run, instance)
        assert list(context.plan.by_key) == ["a", "b", "c", "d"]
        assert [item.event.type for item in instance.storage.events.page(run_id)] == ["RUN_STARTING"]

    def test_the_jobs_own_config_stands_where_nothing_is_given(self, instance):
        assert launched(instance).run_config == {"ops": {"a": {"config": {"n": 5}}}}
        run = launched(instance, run_config={"ops": {"b": {"config": {"n": 2}}}})
        assert run.run_config == {"ops": {"a": {"config": {"n": 5}}, "b": {"config": {"n": 2}}}}
        run = launched(instance, run_config={"ops": {"a": {"config": {"n": 2}}}})
        assert run.run_config == {"ops": {"a": {"config": {"n": 2}}}}

    def test_dagsters_tags_are_read_as_ours(self, instance):
        assert launched(instance, tags={"dagster/priority": "3", "dagsterx": "y"}).tags == {
            "team": "data",
            "orchord/priority": "3",
            "dagsterx": "y",
        }

    def test_tags_with_a_meaning_have_right_values(self, instance):
        tags = {"orchord/max_runtime": "0", "dagster/max_retries": " 2", "orchord/retry_strategy": "ALL_STEPS"}
        assert launched(instance, tags=tags).tags["orchord/max_retries"] == " 2"
        wrong = {"orchord/max_runtime": "soon", "dagster/max_retries": "-1", "orchord/retry_strategy": "ALL"}
        with pytest.raises(InvalidConfigError) as caught:
            launched(instance, tags=wrong)
        assert sorted(caught.value.mistakes) == [
            "tags: found orchord/max_retries: '-1', expected a whole number, 0 or more, as text.",
            "tags: found orchord/max_runtime: 'soon', expected a number of seconds as text; 0: no limit.",
            "tags: found orchord/retry_strategy: 'ALL', expected one of FROM_FAILURE, ALL_STEPS, FROM_ASSET_FAILURE.",
        ]
        with pytest.raises(InvalidConfigError, match="max_runtime: 'nan'"):
            launched(instance, tags={"orchord/max_runtime": "nan"})

    def test_planned_assets_are_told(self, instance):
        run = launched(instance, job_name="assets", asset_selection=["raw", "clean"])
        planned = instance.storage.events.page(run.run_id, types=["ASSET_MATERIALIZATION_PLANNED"])
        assert [(item.event.step_key, item.event.asset_key) for item in planned] == [("raw", "raw"), ("clean", "clean")]

    def test_the_same_key_launches_once(self, instance):
        request = LaunchRequest(job_name="diamond", idempotency_key="k")
        first, again = instance.launch(request), instance.launch(request)
        assert (first[1], again) == (True, (first[0], False))
        assert len(instance.run_launcher.launched) == 1

    def test_the_same_run_key_launches_once_in_its_job(self, instance):
        first = launched(instance, run_key="file-1")
        assert first.tags["orchord/run_key"] == "file-1"
        again, created = instance.launch(LaunchRequest(job_name="diamond", run_key="file-1"))
        assert (again.run_id, created) == (first.run_id, False)
        assert launched(instance, job_name="assets", run_key="file-1").run_id != first.run_id

    def test_a_broker_that_is_away_leaves_the_run_to_the_daemon(self, instance):
        instance.run_launcher.broker_is_away = True
        waiting = launched(instance, idempotency_key="k")
        assert (waiting.status, waiting.error) == (RunStatus.STARTING, None)
        assert instance.launch(LaunchRequest(job_name="diamond", idempotency_key="k")) == (waiting, False)
        assert [run.run_id for run in instance.storage.runs.page()] == [waiting.run_id]


class TestFindingTheJob:
    def test_an_unknown_job_is_told_with_the_nearest(self, instance):
        with pytest.raises(JobNotFoundError, match="No job is called 'diamnd'. Did you mean 'diamond'?"):
            launched(instance, job_name="diamnd")

    def test_an_unknown_location_is_told_with_the_nearest(self, instance):
        with pytest.raises(LocationNotFoundError, match="No code location is called 'hom'. Did you mean 'home'?"):
            launched(instance, location="hom")

    def test_without_any_location_the_fix_is_told(self, instance):
        instance.storage.locations.remove("home")
        with pytest.raises(JobNotFoundError, match="No code location is known: start a worker"):
            launched(instance)

    def test_a_job_of_two_locations_needs_the_location(self, instance, make_location):
        instance.storage.locations.put(make_location("away"))
        with pytest.raises(ConflictError, match="Several locations have a job 'diamond': away, home. Name"):
            launched(instance)
        assert launched(instance, location="away").location == "away"

    def test_a_location_that_never_loaded_says_why(self, instance):
        instance.storage.locations.put_error("broken", ErrorInfo("CodeLocationLoadError", "No module named 'x'"))
        with pytest.raises(LocationNotFoundError, match="'broken' has not loaded: No module named 'x'"):
            launched(instance, location="broken")


class TestMistakes:
    def test_all_mistakes_are_told_at_once(self, instance, make_location, make_job):
        odd = make_job("odd", {"a": ""})
        instance.storage.locations.put(make_location("home", odd))
        with pytest.raises(InvalidConfigError) as caught:
            launched(
                instance,
                job_name="odd",
                run_config={"ops": {"a": {"config": {"n": "many", "m": 1}}, "b": {}}},
                tags={"x": 1},
                op_selection=["nothing"],
            )
        text = str(caught.value)
        assert len(caught.value.mistakes) == 5
        assert "The run of job 'odd' cannot be launched (5 mistakes)" in text
        assert "tags: found 'x': 1, expected text for both." in text
        assert "selection: 'nothing' is no step of job 'odd'." in text
        for path in ("ops.a.config.n", "ops.a.config", "ops"):
            assert path in text

    def test_config_of_the_default_executor_is_checked(self, instance, make_location):
        @job
        def plain():
            nothing()

        instance.storage.locations.put(make_location("home", job_snapshot(plain)))
        with pytest.raises(
            InvalidConfigError, match="execution.config.multiproces: unknown key. Did you mean 'multiprocess'"
        ):
            launched(instance, job_name="plain", run_config={"execution": {"config": {"multiproces": {}}}})
        assert launched(instance, job_name="plain").executor == "celery_executor"

    @pytest.mark.parametrize("executor", ["celery_executor", "in_process_executor"])
    def test_two_executors_run(self, instance, make_location, make_job, executor):
        instance.storage.locations.put(make_location("home", make_job("odd", {"a": ""}, executor=executor)))
        assert launched(instance, job_name="odd").executor == executor

    def test_a_run_config_that_is_too_large_is_refused(self, instance):
        with pytest.raises(InvalidConfigError, match="it is 10.0 MB as JSON, and at most 10 MB are taken. Store"):
            launched(instance, run_config={"ops": {"a": {"config": {"n": "x" * 10_000_000}}}})

    def test_a_run_config_that_is_no_data_is_refused(self, instance):
        with pytest.raises(InvalidConfigError, match="run config: it cannot be written as JSON.*Give plain data only"):
            launched(instance, run_config={"ops": {"a": {"config": {"n": object()}}}})
        with pytest.raises(InvalidConfigError, match="expected a dict or RunConfig"):
            launched(instance, run_config=["a"])

    def test_nothing_is_recorded_of_a_refused_request(self, instance):
        with pytest.raises(InvalidConfigError):
            launched(instance, tags={"x": 1})
        assert instance.storage.runs.page() == []


class TestSelecting:
    def test_ops(self, instance):
        run = launched(instance, op_selection=["*c"])
        assert run.step_keys == ("a", "c")
        assert list(instance.run_launcher.launched[0].plan.by_key) == ["a", "c"]

    def test_only_what_is_selected_needs_config(self, instance, make_location):
        @op(config_schema={"word": str}, required_resource_keys={"db"})
        def greet(context): ...

        @op
        def free(): ...

        @job(resource_defs={"db": ResourceDefinition(lambda context: 1, config_schema={"url": str})})
        def greeting():
            greet()
            free()

        instance.storage.locations.put(make_location("home", job_snapshot(greeting)))
        assert launched(instance, job_name="greeting", op_selection=["free"]).step_keys == ("free",)
        with pytest.raises(InvalidConfigError) as caught:
            launched(instance, job_name="greeting", op_selection=["greet"])
        assert caught.value.mistakes == (
            "ops.greet.config.word: missing, expected String.",
            "resources.db.config.url: missing, expected String.",
        )
        with pytest.raises(InvalidSubsetError, match="'fre' is no step"):
            launched(instance, job_name="greeting", op_selection=["fre"])
        with pytest.raises(InvalidConfigError, match="ops.greet.config.word: found 5"):
            launched(
                instance,
                job_name="greeting",
                op_selection=["free"],
                run_config={"ops": {"greet": {"config": {"word": 5}}}},
            )

    def test_a_selection_of_everything_is_none(self, instance):
        assert launched(instance, op_selection=["*"]).step_keys is None

    def test_steps_that_nothing_would_feed_are_all_named(self, instance):
        with pytest.raises(InvalidSubsetError) as caught:
            launched(instance, op_selection=["c", "d"])
        for found, (step, upstream) in zip(caught.value.mistakes, ("ca", "db"), strict=True):
            assert found.startswith(f"step '{step}' needs 'result' of '{upstream}', which is not selected. ")
            assert found.endswith(f"Select '*{step}' to run what it needs, or re-execute a run that made it.")

    def test_an_unknown_op_is_told_with_the_nearest(self, instance):
        with pytest.raises(InvalidSubsetError, match="'z' is no step of job 'diamond'. Known: a, b, c, d."):
            launched(instance, op_selection=["z"])

    def test_assets_load_what_is_not_selected(self, instance):
        run = launched(instance, job_name="assets", asset_selection=["clean"])
        assert (run.step_keys, run.asset_selection) == (("clean",), ("clean",))

    def test_an_asset_made_by_a_graph_takes_all_steps_of_its_graph(self, instance):
        run = launched(instance, job_name="assets", asset_selection=["graphed"])
        assert run.step_keys == ("g.load", "g.store")

    def test_assets_by_the_grammar(self, instance):
        run = launched(instance, job_name="assets", asset_selection=['key:"raw"+1'])
        assert run.asset_selection == ("clean", "raw")

    def test_an_unknown_asset_is_told_with_the_nearest(self, instance):
        with pytest.raises(InvalidSubsetError, match="claen.*Did you mean 'clean'"):
            launched(instance, job_name="assets", asset_selection=["claen"])

    def test_assets_that_are_made_together_are_selected_together(self, instance):
        with pytest.raises(InvalidSubsetError, match="'one' is always made together with 'two'. Select all of them."):
            launched(instance, job_name="assets", asset_selection=["one"])
        run = launched(instance, job_name="assets", asset_selection=["one", "two"])
        assert run.step_keys == ("pair", "pair_two")

    def test_an_asset_of_another_job_is_refused(self, instance):
        with pytest.raises(InvalidSubsetError, match="job 'diamond' does not make 'raw'"):
            launched(instance, asset_selection=["raw"])

    def test_empty_and_twofold_selections_are_refused(self, instance):
        with pytest.raises(InvalidSubsetError, match="name at least one asset, or leave it out"):
            launched(instance, job_name="assets", asset_selection=[])
        with pytest.raises(InvalidSubsetError, match="op_selection and asset_selection are both given"):
            launched(instance, op_selection=["a"], asset_selection=["raw"])
