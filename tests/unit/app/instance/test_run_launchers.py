"""Further run launchers of an instance file: which of them a run goes to, and what is decided with it."""

from __future__ import annotations

import sys

import pytest
import yaml

from orchord.definitions.config.types import ANY
from orchord.errors import InstanceConfigError, InvalidConfigError
from orchord.instance import InstanceConfig, LaunchRunContext, OrchordInstance, RunLauncher
from orchord.instance.launch import LaunchRequest
from orchord.instance.placement import misfits_anywhere, misfits_of_job
from orchord.instance.run_launchers import launcher_name
from orchord.plan.gates import executor_config
from orchord.plan.places import Place
from orchord.runs import RunStatus


class OwnLauncher(RunLauncher):
    """Only remembers which runs it was given."""

    config_keys = frozenset({"color"})

    def __init__(self, instance, config):
        super().__init__(instance, config)
        self.launched: list[str] = []
        self.terminated: list[str] = []
        self.is_disposed = False

    def launch_run(self, context: LaunchRunContext) -> None:
        self.launched.append(context.run.run_id)

    def terminate(self, run_id: str) -> bool:
        self.terminated.append(run_id)
        return True

    def dispose(self) -> None:
        self.is_disposed = True


class BoxLauncher(OwnLauncher):
    """As one that makes a process for each run."""

    place = Place.PROCESS


def plugin(cls: type) -> dict:
    return {"module": cls.__module__, "class": cls.__name__}


@pytest.fixture
def instance(tmp_path, monkeypatch, make_location):
    monkeypatch.setitem(sys.modules, OwnLauncher.__module__, sys.modules[OwnLauncher.__module__])
    document = {
        "run_launcher": plugin(OwnLauncher),
        "run_launchers": {"boxes": plugin(BoxLauncher), "more": plugin(OwnLauncher), "again": plugin(OwnLauncher)},
    }
    with OrchordInstance(tmp_path, InstanceConfig.parse(document, tmp_path)) as opened:
        opened.storage.migrate()
        opened.storage.locations.put(make_location())
        yield opened


def launched(instance, job_name="diamond", **fields):
    return instance.launch(LaunchRequest(job_name=job_name, **fields))[0]


class TestWhichLauncher:
    def test_without_a_tag_it_is_the_instances_own(self, instance):
        run = launched(instance)
        assert (run.launcher, run.unit_place, run.executor) == ("", "worker", "celery_executor")
        assert instance.launcher_of(run) is instance.run_launcher
        assert instance.run_launcher.launched == [run.run_id]

    @pytest.mark.parametrize("tag", ["boxes", "BoxLauncher"])
    def test_a_runs_tag_names_one_or_its_class(self, instance, tag):
        run = launched(instance, tags={"orchord/launcher": tag})
        assert run.launcher == "boxes"
        assert type(instance.launcher_of(run)) is BoxLauncher
        assert instance.launcher_of(run).launched == [run.run_id]
        assert instance.storage.runs.get(run.run_id).launcher == "boxes"

    def test_a_jobs_tag_does_too_and_a_runs_overrides_it(self, instance, make_location, make_job):
        tagged = make_job("tagged", {"a": ""}, run_tags={"orchord/launcher": "boxes"})
        instance.storage.locations.put(make_location("home", tagged))
        assert launched(instance, "tagged").launcher == "boxes"
        assert launched(instance, "tagged", tags={"orchord/launcher": "default"}).launcher == ""

    def test_another_is_refused_with_those_that_there_are(self, instance):
        with pytest.raises(
            InvalidConfigError,
            match="Did you mean 'boxes'. It has default, again, boxes, more",
        ):
            launched(instance, tags={"orchord/launcher": "boxs"})

    def test_a_class_of_the_instances_own_launcher_means_that_one(self, instance):
        assert launched(instance, tags={"orchord/launcher": "OwnLauncher"}).launcher == ""

    def test_a_class_of_several_is_refused_with_their_names(self, tmp_path):
        document = {"run_launchers": {"more": plugin(OwnLauncher), "again": plugin(OwnLauncher)}}
        config = InstanceConfig.parse(document, tmp_path)
        with pytest.raises(
            LookupError, match="the class of several of this instance's launchers. Say which: again, more."
        ):
            launcher_name(config, "OwnLauncher")

    def test_one_that_cannot_be_made_refuses_the_run_with_the_reason(self, tmp_path, make_location):
        document = {"run_launcher": plugin(OwnLauncher), "run_launchers": {"odd": {"module": "no_such", "class": "X"}}}
        with OrchordInstance(tmp_path, InstanceConfig.parse(document, tmp_path)) as opened:
            opened.storage.migrate()
            opened.storage.locations.put(make_location())
            with pytest.raises(InvalidConfigError, match="launcher: .*module 'no_such' cannot be imported"):
                launched(opened, tags={"orchord/launcher": "odd"})
            assert [path for path, _ in opened.launchers.problems()] == ["run_launchers.odd"]


class TestWhatItDoes:
    def test_a_run_is_stopped_by_its_own_launcher(self, instance):
        run = launched(instance, tags={"orchord/launcher": "boxes"})
        instance.storage.runs.set_status(run.run_id, RunStatus.STARTED, allowed_from={RunStatus.STARTING}, event=None)
        instance.cancel(run.run_id)
        assert instance.launcher_of(run).terminated == [run.run_id]
        assert instance.run_launcher.terminated == []

    def test_a_run_whose_launcher_is_gone_is_stopped_by_the_instances(self, instance, tmp_path):
        run = launched(instance, tags={"orchord/launcher": "boxes"})
        with OrchordInstance(tmp_path, InstanceConfig.parse({"run_launcher": plugin(OwnLauncher)}, tmp_path)) as later:
            assert later.launchers.stopping(run) is later.run_launcher
            with pytest.raises(InstanceConfigError, match="No run launcher is called 'boxes'.* has none"):
                later.launcher_of(run)

    def test_each_is_made_once_and_all_are_given_back(self, instance):
        both = [instance.launchers.named("boxes"), instance.run_launcher]
        assert instance.launchers.named("boxes") is both[0]
        instance.dispose()
        assert all(one.is_disposed for one in both)
        assert instance.launchers.named("boxes") is not both[0]


class TestFormOfARun:
    def test_where_runs_get_a_process_a_job_without_an_executor_is_one_unit(self, instance):
        run = launched(instance, tags={"orchord/launcher": "boxes"})
        assert (run.executor, run.unit_place) == ("multi_or_in_process_executor", "process")

    def test_chords_stay_chords_whatever_the_launcher(self, instance, make_location, make_job):
        chords = make_job("chords", {"a": ""}, executor="celery_executor", names_executor=True)
        instance.storage.locations.put(make_location("home", chords))
        run = launched(instance, "chords", tags={"orchord/launcher": "boxes"})
        assert (run.executor, run.unit_place) == ("celery_executor", "worker")

    def test_a_named_unit_goes_where_the_launcher_says(self, instance, make_location, make_job):
        unit = make_job("unit", {"a": ""}, executor="in_process_executor", names_executor=True)
        instance.storage.locations.put(make_location("home", unit))
        assert launched(instance, "unit").unit_place == "worker"
        assert launched(instance, "unit", tags={"orchord/launcher": "boxes"}).unit_place == "process"


class TestMistakesInTheFile:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[]", "run_launchers: found [], expected a mapping of names to launchers."),
            ("{a: 5}", "run_launchers.a: found 5, expected a mapping with module, class and config."),
            ("{a: {module: dagster_k8s, class: K8RunLauncher}}", "run_launchers.a: no class 'K8RunLauncher' of module"),
            ("{default: {module: x, class: Y}}", "run_launchers: found the name 'default'. Give text;"),
            ("{a: {module: x, clas: Y}}", "run_launchers.a: unknown key 'clas'. Did you mean 'class'?"),
        ],
    )
    def test_is_told_with_its_place(self, tmp_path, text, told):
        with pytest.raises(InstanceConfigError) as caught:
            InstanceConfig.parse({"run_launchers": yaml.safe_load(text)}, tmp_path)
        assert told in str(caught.value)

    def test_every_launcher_of_ours_is_known_by_its_name(self, tmp_path):
        names = [
            "CeleryRunLauncher",
            "DefaultRunLauncher",
            "DockerRunLauncher",
            "K8sRunLauncher",
            "CeleryK8sRunLauncher",
            "EcsRunLauncher",
        ]
        document = {"run_launchers": {name: {"module": "orchord", "class": name} for name in names}}
        config = InstanceConfig.parse(document, tmp_path)
        assert all(config.run_launchers[name].target is not None for name in names)


class TestWhatCannotWork:
    def test_is_refused_at_launch_with_all_reasons(self, instance, make_location, make_job):
        boxed = make_job("boxed", {"a": "", "b": "a"}, executor="docker_executor", names_executor=True)
        instance.storage.locations.put(make_location("home", boxed))
        with pytest.raises(InvalidConfigError) as caught:
            launched(instance, "boxed")
        assert [text.partition(":")[0] for text in caught.value.mistakes] == ["storage", "image"]
        assert [text.partition(":")[0] for text in refusals(instance, "boxed")] == ["storage", "image"]

    @pytest.mark.parametrize(
        ("fields", "tags"),
        [
            ({"executor_config": {"image": "x"}}, {}),
            ({"default_config": {"execution": {"config": {"image": "x"}}}}, {}),
            ({}, {"orchord/image": "x"}),
            ({}, {"dagster/image": "x"}),
            ({}, {"orchord/docker": '{"image": "x"}'}),
        ],
        ids=["configured", "run config", "tag", "dagster's tag", "settings in a tag"],
    )
    def test_any_place_that_names_an_image_is_enough(self, instance, make_location, make_job, fields, tags):
        fields = {"config_type": ANY, **fields}
        boxed = make_job("boxed", {"a": ""}, executor="docker_executor", names_executor=True, **fields)
        instance.storage.locations.put(make_location("home", boxed))
        with pytest.raises(InvalidConfigError) as caught:
            launched(instance, "boxed", tags=tags)
        assert [text.partition(":")[0] for text in caught.value.mistakes] == ["storage"]

    def test_an_image_for_the_pods_of_whole_runs_is_none_for_steps(self, instance, make_location, make_job):
        tags = {"dagster-k8s/config": '{"container_config": {"image": "x"}}'}
        podded = make_job("podded", {"a": ""}, executor="k8s_job_executor", names_executor=True, run_tags=tags)
        instance.storage.locations.put(make_location("home", podded))
        assert [text.partition(":")[0] for text in refusals(instance, "podded")] == ["storage", "image"]

    def test_a_job_is_judged_by_its_tags_as_its_runs_have_them(self, instance, make_location, make_job):
        tags = {"dagster/image": "x", "dagster/launcher": "boxes"}
        boxed = make_job("boxed", {"a": ""}, executor="docker_executor", names_executor=True, run_tags=tags)
        odd = make_job("odd", {"a": ""}, run_tags={"dagster/launcher": "boxs"})
        instance.storage.locations.put(make_location("home", boxed, odd))
        assert [text.partition(":")[0] for text in refusals(instance, "boxed")] == ["storage"]
        assert "orchord/launcher: 'boxs'" in refusals(instance, "odd")[0]

    def test_chords_whose_config_a_function_makes_are_refused_and_units_are_not(
        self, instance, make_location, make_job
    ):
        mapped = {"names_executor": True, "maps_executor_config": True}
        chords = make_job("chords", {"a": ""}, executor="celery_executor", **mapped)
        unit = make_job("unit", {"a": ""}, executor="multiprocess_executor", **mapped)
        instance.storage.locations.put(make_location("home", chords, unit))
        with pytest.raises(InvalidConfigError, match="executor: celery_executor is configured by a function of run"):
            launched(instance, "chords")
        assert len(refusals(instance, "chords")) == len(misfits_anywhere(chords)) == 1
        assert launched(instance, "unit").executor == "multiprocess_executor"
        assert misfits_anywhere(unit) == []

    def test_values_in_memory_are_refused_for_chords_and_not_for_one_process(self, instance, make_location, make_job):
        bound = {"process_bound": ("io_manager",), "names_executor": True}
        apart = make_job("apart", {"a": "", "b": "a"}, executor="celery_executor", **bound)
        together = make_job("together", {"a": "", "b": "a"}, executor="in_process_executor", **bound)
        instance.storage.locations.put(make_location("home", apart, together))
        with pytest.raises(InvalidConfigError, match="it keeps values in the memory of one process"):
            launched(instance, "apart")
        assert launched(instance, "together").unit_place == "worker"

    def test_only_the_steps_that_run_count(self, instance, make_location, make_job):
        apart = make_job("apart", {"a": "", "b": "a"}, process_bound=("io_manager",))
        instance.storage.locations.put(make_location("home", apart))
        assert launched(instance, "apart", op_selection=["a"]).step_keys == ("a",)


def refusals(instance, name):
    location = next(row.snapshot for row in instance.storage.locations.all())
    return misfits_of_job(instance, location, location.job_by_name[name])


def test_what_configured_fixed_goes_with_the_run(instance, make_location, make_job):
    fixed = make_job(
        "fixed", {"a": ""}, executor="multiprocess_executor", names_executor=True, executor_config={"max_concurrent": 2}
    )
    instance.storage.locations.put(make_location("home", fixed))
    run = launched(instance, "fixed")
    assert executor_config(instance.storage.runs.get(run.run_id)) == {"max_concurrent": 2}
