"""The instance as one object: what it wires, what user code reads from it, what it gives back."""

from __future__ import annotations

import sys
import types

import pytest

from orchord.compute_logs import LocalComputeLogManager, NoOpComputeLogManager
from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.errors import InstanceConfigError, StorageUnavailableError
from orchord.events import Event, EventType, utc_now
from orchord.instance import (
    DefaultRunCoordinator,
    InstanceConfig,
    LaunchRequest,
    OrchordInstance,
    RunCoordinator,
)
from orchord.runs import RunStatus
from orchord.settings import Settings
from orchord.storage import RunFilter


def instance_with(tmp_path, **document):
    return OrchordInstance(tmp_path, InstanceConfig.parse(document, tmp_path))


class TestWiring:
    def test_a_home_is_opened_without_connecting_to_anything(self, tmp_path):
        (tmp_path / "orchord.yaml").write_text("storage: postgresql://127.0.0.1:1/nothing")
        with OrchordInstance.from_home(Settings(tmp_path, True)) as instance:
            assert instance.home == tmp_path
            assert instance.storage.address == "postgresql://127.0.0.1:1/nothing"
            with pytest.raises(StorageUnavailableError):
                instance.storage.ping()

    def test_the_environment_names_the_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ORCHORD_HOME", str(tmp_path))
        with OrchordInstance.get() as instance:
            assert instance.home == tmp_path

    def test_an_ephemeral_instance_goes_with_its_folder(self):
        with OrchordInstance.ephemeral() as instance:
            assert instance.get_runs() == []
            assert instance.home.is_dir()
        assert not instance.home.exists()

    def test_values_and_logs_lie_beside_each_other(self, tmp_path):
        with instance_with(tmp_path, local_artifact_storage={"base_dir": str(tmp_path / "data")}) as instance:
            assert instance.storage_directory() == str(tmp_path / "data" / "storage")
            logs = instance.compute_log_manager
            assert isinstance(logs, LocalComputeLogManager)
            assert logs.base_dir == tmp_path / "data" / "compute_logs"

    def test_compute_logs_can_be_elsewhere_or_nowhere(self, tmp_path):
        section = {"module": "dagster.core.storage.local_compute_log_manager", "class": "LocalComputeLogManager"}
        with instance_with(tmp_path, compute_logs={**section, "config": {"base_dir": "/x"}}) as instance:
            assert str(instance.compute_log_manager.base_dir) == "/x"
        with instance_with(tmp_path, compute_logs={**section, "class": "NoOpComputeLogManager"}) as instance:
            assert isinstance(instance.compute_log_manager, NoOpComputeLogManager)

    def test_parts_are_made_once_and_given_back(self, instance):
        launcher = instance.run_launcher
        assert instance.run_launcher is launcher
        assert isinstance(instance.run_coordinator, DefaultRunCoordinator)
        instance.dispose()
        assert launcher.is_disposed
        assert instance.get_runs() == []
        assert instance.run_launcher is not launcher


class TestPluginMistakes:
    def test_a_module_that_is_not_there(self, tmp_path):
        with instance_with(tmp_path, run_launcher={"module": "no_such_module", "class": "X"}) as instance:
            with pytest.raises(InstanceConfigError, match="module 'no_such_module' cannot be imported"):
                _ = instance.run_launcher

    def test_a_class_that_is_not_there_or_is_another(self, tmp_path, monkeypatch):
        module = types.ModuleType("own_plugins")
        module.Launchers = type("Launchers", (), {})
        monkeypatch.setitem(sys.modules, "own_plugins", module)
        with instance_with(tmp_path, run_launcher={"module": "own_plugins", "class": "Launcher"}) as instance:
            with pytest.raises(InstanceConfigError, match="has no class 'Launcher'. Did you mean 'Launchers'?"):
                _ = instance.run_launcher
        with instance_with(tmp_path, run_launcher={"module": "own_plugins", "class": "Launchers"}) as instance:
            with pytest.raises(InstanceConfigError, match="own_plugins:Launchers is no RunLauncher. Name a class that"):
                _ = instance.run_launcher

    def test_config_that_a_class_does_not_take(self, tmp_path, instance):
        section = {"module": "dagster", "class": "LocalComputeLogManager", "config": {"base_dri": "x"}}
        with instance_with(tmp_path, compute_logs=section) as other:
            with pytest.raises(InstanceConfigError, match="unknown key 'base_dri'. Did you mean 'base_dir'?"):
                _ = other.compute_log_manager
        with pytest.raises(InstanceConfigError, match="unknown key 'colour'. Did you mean 'color'?"):
            type(instance.run_launcher)(instance, {"colour": "red"})
        with pytest.raises(InstanceConfigError, match="run_coordinator DefaultRunCoordinator cannot be configured"):
            DefaultRunCoordinator(instance, {"max": 1})

    def test_a_coordinator_of_ones_own_may_hold_runs_back(self, tmp_path, instance, monkeypatch):
        class Holding(RunCoordinator):
            initial_status = RunStatus.QUEUED

            def submit_run(self, context):
                assert context.run.status is RunStatus.QUEUED

        monkeypatch.setitem(instance.__dict__, "run_coordinator", Holding(instance, {}))
        run, _ = instance.launch(LaunchRequest(job_name="diamond"))
        assert instance.cancel(run.run_id).status is RunStatus.CANCELED


class TestReading:
    def test_runs(self, instance):
        made = [instance.launch(LaunchRequest(job_name="diamond", tags={"n": str(n)}))[0] for n in range(3)]
        assert instance.get_run_by_id(made[0].run_id) == made[0]
        assert instance.get_run_by_id("nobody") is None
        assert instance.get_runs() == made[::-1]
        assert instance.get_runs(limit=1, cursor=made[2].run_id) == [made[1]]
        assert instance.get_runs(RunFilter(tags={"n": "1"})) == [made[1]]
        ids = [made[0].run_id, made[2].run_id, "nobody"]
        assert instance.get_runs(RunFilter(run_ids=ids)) == [made[2], made[0]]
        assert instance.get_runs(RunFilter(run_ids=[], statuses=[RunStatus.STARTING])) == []
        assert instance.has_run(made[0].run_id)
        assert not instance.has_run("nobody")

    def test_all_runs_and_events_however_many_pages_they_fill(self, instance, monkeypatch):
        monkeypatch.setattr("orchord.instance.reading._PAGE", 2)
        made = [instance.launch(LaunchRequest(job_name="diamond"))[0] for _ in range(5)]
        assert instance.get_runs() == made[::-1]
        assert instance.get_runs(limit=3) == made[:1:-1]
        run_id = made[0].run_id
        told = [Event(EventType.LOG, utc_now(), f"line {n}", step_key="a" if n else "b") for n in range(4)]
        instance.storage.attempts.append_events(run_id, told)
        entries = instance.all_logs(run_id)
        assert [entry.event for entry in entries[1:]] == told
        assert instance.get_events(run_id, limit=3) == entries[:3]
        assert instance.get_events(run_id, after_id=entries[1].id, step_key="a") == entries[2:]
        assert instance.all_logs(run_id, of_type=EventType.RUN_STARTING) == entries[:1]
        assert instance.all_logs("nobody") == []

    def test_assets_that_others_report(self, instance):
        key = AssetKey(["a", "b"])
        assert not instance.has_asset_key(key)
        assert instance.get_latest_materialization_event(key) is None
        stored = instance.report_runless_asset_event(
            AssetMaterialization(key, description="by hand", metadata={"rows": 5}, tags={"t": "x"}, partition="p")
        )
        instance.report_runless_asset_event(AssetObservation(key, metadata={"seen": 1}))
        assert instance.has_asset_key(["a", "b"])
        assert instance.all_asset_keys() == [key]
        assert instance.get_latest_materialization_event(key) == stored
        other = AssetKey("other")
        assert instance.get_latest_materialization_events([key, other]) == {key: stored, other: None}
        assert instance.get_materialization_events(key) == [stored]
        assert instance.get_materialization_events(key, before_id=stored.id) == []
        materialization = stored.asset_materialization
        assert materialization is not None
        assert (materialization.asset_key, materialization.metadata["rows"].value) == (key, 5)
        event = stored.event
        assert (event.message, event.partition, event.data["tags"]) == ("by hand", "p", {"t": "x"})
        assert event.data["metadata"]["rows"]["value"] == 5

    def test_what_a_location_defines(self, instance, make_location):
        (row,) = instance.storage.locations.all()
        assert instance.location_snapshot(row) == make_location()
        job = make_location().jobs[0]
        assert instance.job_snapshot(job.snapshot_id) == job
