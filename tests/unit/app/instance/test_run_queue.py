"""The run queue over a launcher that only remembers: who is launched, what stays, what a fault does to a run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from orchord.errors import BrokerUnavailableError, InstanceConfigError
from orchord.instance import InstanceConfig, LaunchRequest, OrchordInstance
from orchord.instance.coordinators import QueuedRunCoordinator
from orchord.instance.launch import hand_over_all, prepare
from orchord.runs import Run, RunStatus, new_run_id

FAKE = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher", "config": {"unfinished": True}}


@pytest.fixture
def queued(tmp_path: Path, make_location):
    """Opens an instance with a queue of these settings."""
    opened: list[OrchordInstance] = []

    def open_one(**config) -> OrchordInstance:
        section = {"module": "orchord", "class": "QueuedRunCoordinator", "config": config}
        parsed = InstanceConfig.parse({"run_launcher": FAKE, "run_coordinator": section}, tmp_path)
        instance = OrchordInstance(tmp_path, parsed)
        opened.append(instance)
        instance.storage.migrate()
        instance.storage.locations.put(make_location())
        return instance

    yield open_one
    for instance in opened:
        instance.dispose()


def launch(instance: OrchordInstance, **fields) -> Run:
    run, _ = instance.launch(LaunchRequest(job_name="diamond", **fields))
    return instance.storage.runs.get(run.run_id)


class TestSubmitting:
    def test_a_run_goes_at_once_when_there_is_room_and_else_waits_with_a_reason(self, queued):
        instance = queued(max_concurrent_runs=1)
        first, second = launch(instance), launch(instance)
        assert instance.run_launcher.launched == [first.run_id]
        assert (first.status, second.status) == (RunStatus.STARTING, RunStatus.QUEUED)
        assert second.waits_for == "As many runs are under way as max_concurrent_runs allows: 1."

    def test_the_first_event_says_that_it_was_put_into_the_queue(self, queued):
        instance = queued(max_concurrent_runs=0)
        run = launch(instance)
        assert [stored.event.type for stored in instance.storage.events.page(run.run_id)] == ["RUN_ENQUEUED"]

    def test_its_priority_comes_from_its_tag_in_either_spelling(self, queued):
        instance = queued(max_concurrent_runs=0)
        assert launch(instance, tags={"dagster/priority": "-3"}).priority == -3
        assert launch(instance, tags={"orchord/priority": "7"}).priority == 7

    def test_a_priority_that_is_no_number_is_refused(self, queued):
        with pytest.raises(Exception, match="orchord/priority: 'high', expected a whole number of at most nine digits"):
            launch(queued(), tags={"orchord/priority": "high"})

    def test_many_runs_take_one_look_and_the_daemon_sees_to_those_that_wait(self, queued, monkeypatch):
        instance = queued(max_concurrent_runs=2)
        prepared = [prepare(instance, LaunchRequest(job_name="diamond")) for _ in range(5)]
        for one in prepared:
            instance.storage.runs.create(one.run, one.events)
        looks, woken, take = [], [], instance.storage.queue.take

        def counted(*given, **options):
            looks.append(given)
            return take(*given, **options)

        monkeypatch.setattr(instance.storage.queue, "take", counted)
        monkeypatch.setattr(instance.courier, "wake", woken.append)
        hand_over_all(instance, prepared)
        assert instance.run_launcher.launched == [one.run.run_id for one in prepared[:2]]
        assert (len(looks), woken) == (1, ["queue"])
        hand_over_all(instance, [])
        assert len(looks) == 1


class TestDequeuing:
    def test_the_highest_priority_goes_first_as_runs_end(self, queued):
        instance = queued(max_concurrent_runs=1)
        first, low, high = launch(instance), launch(instance), launch(instance, tags={"orchord/priority": "1"})
        queue = instance.run_coordinator.queue
        for ended, expected in ((first, high), (high, low)):
            assert queue.dequeue() == 0
            instance.storage.runs.fail(ended.run_id, None, ended.created_at)
            assert queue.dequeue() == 1
            assert instance.run_launcher.launched[-1] == expected.run_id

    def test_by_threads_all_that_may_go_are_launched(self, queued):
        paused = queued(max_concurrent_runs=0)
        wanted = {launch(paused).run_id for _ in range(12)}
        instance = queued(max_concurrent_runs=-1, dequeue_use_threads=True, dequeue_num_workers=4)
        assert instance.run_coordinator.queue.dequeue() == 12
        assert set(instance.run_launcher.launched) == wanted

    def test_a_run_that_cannot_be_handed_over_stays_starting_for_the_monitor(self, queued, monkeypatch):
        instance = queued()

        def refuse(context):
            raise BrokerUnavailableError("The broker is away.")

        monkeypatch.setattr(instance.run_launcher, "launch_run", refuse)
        assert launch(instance).status is RunStatus.STARTING

    def test_a_run_whose_job_is_not_stored_fails_with_that_reason(self, queued):
        paused = queued(max_concurrent_runs=0)
        run = launch(paused)
        lost = msgspec.structs.replace(run, run_id=new_run_id(), job_snapshot_id="none", waits_for=None)
        paused.storage.runs.create(lost)
        instance = queued()
        assert instance.run_coordinator.queue.dequeue() == 2
        failed = instance.storage.runs.get(lost.run_id)
        assert failed.status is RunStatus.FAILURE
        assert failed.error is not None
        assert "No snapshot of a job is stored under 'none'" in failed.error.message

    def test_why_runs_wait_is_noted_and_then_not_again_for_a_while(self, queued):
        paused = queued(max_concurrent_runs=0)
        run = launch(paused)
        queue = paused.run_coordinator.queue
        queue.dequeue()
        assert queue.explain()
        assert paused.storage.runs.get(run.run_id).waits_for == "The run queue is paused: max_concurrent_runs is 0."
        queue.dequeue()
        assert not queue.explain()


class TestConfig:
    def test_all_mistakes_are_told_at_once(self, tmp_path):
        config = {
            "max_concurrent_run": 3,
            "dequeue_num_workers": 0,
            "tag_concurrency_limits": [{"key": "a", "limit": -1}],
            "block_op_concurrency_limited_runs": {"enabled": "perhaps"},
        }
        section = {"module": "orchord", "class": "QueuedRunCoordinator", "config": config}
        with pytest.raises(InstanceConfigError) as caught:
            InstanceConfig.parse({"run_coordinator": section}, tmp_path)
        text = str(caught.value)
        for part in (
            "unknown key 'max_concurrent_run'. Did you mean 'max_concurrent_runs'?",
            "run_coordinator.config.dequeue_num_workers: found 0",
            "run_coordinator.config.tag_concurrency_limits[0].limit: found -1",
            "block_op_concurrency_limited_runs.enabled: found 'perhaps'",
        ):
            assert part in text

    def test_no_limit_a_pause_and_the_default_are_understood(self, queued):
        def most(**config):
            coordinator = queued(**config).run_coordinator
            assert isinstance(coordinator, QueuedRunCoordinator)
            return coordinator.queue.settings.limits.max_concurrent_runs

        assert [most(), most(max_concurrent_runs=-1), most(max_concurrent_runs=0)] == [10, None, 0]
