"""When the monitor looks at a run, and what it does about dead workers. What is due in a run is the mender's to say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from orchord.errors import LocationNotFoundError, NotFoundError
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.plan.model import ExecutionPlan
from orchord.runs import Attempt, Run, RunStatus, new_run_id
from orchord.storage import Storage
from orchord.storage.values import Claim
from orchord_beat import monitor as module
from orchord_beat.monitor import QUIET, QUIET_WHEN_BUSY, QUIET_WHEN_EMPTIED, Monitor
from orchord_workers.mending import Mended


class Contexts:
    def of(self, run: Run) -> Run:
        return run

    def plan_of(self, run: Run) -> ExecutionPlan:
        raise LocationNotFoundError(f"no snapshot {run.job_snapshot_id}")


class Runner:
    contexts = Contexts()

    def __init__(self) -> None:
        self.ended: list[tuple[str, RunStatus]] = []

    def notify_end(self, run_id: str, status: RunStatus) -> None:
        self.ended.append((run_id, status))


@dataclass
class RecordingMender:
    """Notes what it is asked to mend, and says that it sent one message each time."""

    runner: Runner = field(default_factory=Runner)
    looked_at: list[str] = field(default_factory=list)
    sends: list[bool] = field(default_factory=list)
    lost: list[Attempt] = field(default_factory=list)
    newest: datetime | None = None
    counted: list[bool] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)

    def restore_joins(self, context: Run) -> int:
        self.restored.append(context.run_id)
        return 0

    def mend(self, context: Run, *, quiet: timedelta, sends: bool) -> Mended:
        self.looked_at.append(context.run_id)
        self.sends.append(sends)
        return Mended(1, self.newest)

    def attempts_lost(self, attempts: list[Attempt], reason: str, *, counts: bool = True) -> None:
        self.lost += attempts
        self.counted += [counts] * len(attempts)


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def forward(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(Storage, "clock", lambda storage: clock.now)
    return clock


def a_run(instance: OrchordInstance, clock: Clock, tags: dict[str, str] | None = None) -> str:
    run = Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", clock.now, tags=tags or {})
    instance.storage.runs.create(run, [])
    return run.run_id


def test_a_quiet_run_is_looked_at_and_then_ever_more_rarely_while_nothing_comes_of_it(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    a_run(instance, clock)
    seconds = []
    for second in range(60):
        if monitor.look():
            seconds.append(second)
        clock.forward(timedelta(seconds=1))
    assert seconds == [4, 12, 28]


def test_a_run_that_went_on_after_a_message_is_soon_looked_at_again(instance: OrchordInstance, clock: Clock) -> None:
    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    a_run(instance, clock)
    looks = 0
    for _ in range(60):
        mender.newest = clock.now
        looks += monitor.look()
        clock.forward(timedelta(seconds=1))
    assert looks == 7


def test_a_run_that_waits_its_turn_in_a_queue_is_left_alone_for_long(instance: OrchordInstance, clock: Clock) -> None:
    monitor = Monitor(instance, RecordingMender(), lambda location: 5)  # type: ignore[arg-type]
    a_run(instance, clock)
    clock.forward(QUIET + timedelta(seconds=5))
    assert monitor.look() == 0
    clock.forward(QUIET_WHEN_BUSY)
    assert monitor.look() == 1


def test_what_a_dead_worker_held_is_lost_and_what_a_living_one_holds_is_not(
    instance: OrchordInstance, clock: Clock
) -> None:
    from orchord.storage.values import WorkerRow

    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    for worker_id in ("dead", "living"):
        run_id = a_run(instance, clock)
        instance.storage.attempts.claim(Claim(run_id, "a", 1, worker_id, worker_id, clock.now, process_id=7))
        instance.storage.workers.beat(WorkerRow(worker_id, "host", 1, "here", ("steps.here",), clock.now, clock.now))
    for _ in range(12):
        instance.storage.workers.beat(WorkerRow("living", "host", 1, "here", ("steps.here",), clock.now, clock.now))
        monitor.look()
        clock.forward(timedelta(seconds=1))
    assert [attempt.worker_id for attempt in mender.lost] == ["dead"]
    assert mender.counted == [True]


def test_a_worker_that_was_asked_to_stop_has_not_died_of_its_step(instance: OrchordInstance, clock: Clock) -> None:
    from orchord.storage.values import WorkerRow

    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    run_id = a_run(instance, clock)
    instance.storage.attempts.claim(Claim(run_id, "a", 1, "token", "stopping", clock.now, process_id=7))
    instance.storage.workers.beat(WorkerRow("stopping", "host", 1, "here", (), clock.now, clock.now))
    for _ in range(12):
        monitor.look()
        clock.forward(timedelta(seconds=1))
    assert [attempt.worker_id for attempt in mender.lost] == ["stopping"]
    assert mender.counted == [False]


def test_what_the_broker_lost_is_looked_for_at_once_whatever_waits_in_its_queues(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender, losses = RecordingMender(), [True]
    monitor = Monitor(  # type: ignore[arg-type]
        instance, mender, lambda location: 5, lambda: bool(losses) and losses.pop()
    )
    a_run(instance, clock)
    clock.forward(QUIET_WHEN_EMPTIED)
    assert monitor.look() == 1
    clock.forward(QUIET_WHEN_EMPTIED * 2)
    assert monitor.look() == 1
    later = a_run(instance, clock)
    clock.forward(QUIET)
    monitor.look()
    assert later not in mender.looked_at, "it was begun after the loss, and waits its turn"


@pytest.mark.parametrize("was_looking", [True, False])
def test_workers_may_speak_up_again_after_the_monitor_itself_was_away(
    instance: OrchordInstance, clock: Clock, was_looking: bool
) -> None:
    """The database was down, or the laptop slept: then the monitor may be back before any worker has beaten."""
    from orchord.storage.values import WorkerRow

    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    run_id = a_run(instance, clock)
    instance.storage.attempts.claim(Claim(run_id, "a", 1, "token", "living", clock.now, process_id=7))
    instance.storage.workers.beat(WorkerRow("living", "host", 1, "here", (), clock.now, clock.now))
    for _ in range(11 if was_looking else 0):
        instance.storage.workers.beat(WorkerRow("living", "host", 1, "here", (), clock.now, clock.now))
        monitor.look()
        clock.forward(timedelta(seconds=1))
    clock.forward(timedelta(minutes=10))
    monitor.look()
    clock.forward(timedelta(seconds=1))
    instance.storage.workers.beat(WorkerRow("living", "host", 1, "here", (), clock.now, clock.now))
    monitor.look()
    assert mender.lost == []


def test_every_run_has_its_turn_when_there_are_more_than_one_look_takes(
    instance: OrchordInstance, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RUNS_PER_LOOK", 2)
    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    runs = [a_run(instance, clock) for _ in range(5)]
    clock.forward(QUIET)
    for _ in range(3):
        monitor.look()
    assert sorted(mender.looked_at) == sorted(runs)
    assert sorted(monitor.watched) == sorted(runs)


def test_a_run_that_cannot_be_read_does_not_keep_the_monitor_from_the_others(
    instance: OrchordInstance, clock: Clock
) -> None:
    runs = [a_run(instance, clock) for _ in range(3)]

    class Stumbling(RecordingMender):
        def mend(self, context: Run, *, quiet: timedelta, sends: bool) -> Mended:
            if context.run_id == runs[0]:
                raise NotFoundError("No snapshot of a job is stored.")
            return super().mend(context, quiet=quiet, sends=sends)

    mender = Stumbling()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    clock.forward(QUIET)
    monitor.look()
    assert mender.looked_at == runs[1:]


def test_a_run_that_is_being_canceled_is_looked_at_soon_though_its_queue_is_busy(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 5)  # type: ignore[arg-type]
    run_id = a_run(instance, clock)
    runs = instance.storage.runs
    runs.set_status(run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTING}, at=clock.now)
    clock.forward(QUIET)
    monitor.look()
    assert mender.looked_at == [run_id]


def test_a_run_that_has_ended_is_forgotten(instance: OrchordInstance, clock: Clock) -> None:
    monitor = Monitor(instance, RecordingMender(), lambda location: 0)  # type: ignore[arg-type]
    run_id = a_run(instance, clock)
    monitor.look()
    assert run_id in monitor.watched
    instance.storage.runs.end(run_id, clock.now)
    monitor.look()
    assert monitor.watched == {}


def test_a_run_in_a_process_of_its_own_is_left_to_it_and_fails_when_the_process_has_died(
    instance: OrchordInstance, clock: Clock
) -> None:
    from orchord.storage.values import WorkerRow

    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    lives, dies = (a_run(instance, clock, {"orchord/executed_by": name}) for name in ("lives", "dies"))
    for _ in range(15):
        clock.forward(timedelta(seconds=1))
        instance.storage.workers.beat(WorkerRow("lives", "host", 1, "here", (), clock.now, clock.now))
        monitor.look()
    assert instance.storage.runs.get(lives).status is RunStatus.STARTING
    failed = instance.storage.runs.get(dies)
    assert failed.status is RunStatus.FAILURE
    assert failed.error is not None
    assert "dies, has died" in failed.error.message
    assert mender.looked_at == []
    assert mender.runner.ended == [(dies, RunStatus.FAILURE)]


def test_a_run_whose_plan_is_gone_does_not_keep_the_others_from_being_looked_at(
    instance: OrchordInstance, clock: Clock
) -> None:
    class FailingFor(RecordingMender):
        def mend(self, context: Run, *, quiet: timedelta, sends: bool) -> Mended:
            if context.run_id == gone:
                raise LocationNotFoundError("no such snapshot")
            return super().mend(context, quiet=quiet, sends=sends)

    mender = FailingFor()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    gone, other = a_run(instance, clock), a_run(instance, clock)
    clock.forward(QUIET)
    assert monitor.look() == 1
    assert mender.looked_at == [other]


def test_steps_are_sent_only_where_a_worker_would_take_them(instance: OrchordInstance, clock: Clock) -> None:
    from orchord.storage.values import WorkerRow

    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda location: 0)  # type: ignore[arg-type]
    a_run(instance, clock)
    clock.forward(QUIET)
    monitor.look()
    clock.forward(timedelta(minutes=10))
    instance.storage.workers.beat(WorkerRow("w", "host", 1, "here", ("steps.here",), clock.now, clock.now))
    monitor.look()
    assert mender.sends == [False, True]


def test_joins_are_restored_once_after_each_loss_for_the_runs_begun_before_it(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender, losses = RecordingMender(), [True]
    monitor = Monitor(  # type: ignore[arg-type]
        instance, mender, lambda location: 5, lambda: bool(losses) and losses.pop()
    )
    first = a_run(instance, clock)
    clock.forward(timedelta(seconds=1))
    monitor.look()
    clock.forward(timedelta(seconds=1))
    second = a_run(instance, clock)
    for _ in range(3):
        clock.forward(timedelta(seconds=1))
        monitor.look()
    assert mender.restored == [first]
    losses.append(True)
    clock.forward(timedelta(seconds=1))
    monitor.look()
    assert sorted(mender.restored) == sorted([first, first, second])


def test_after_a_loss_a_run_that_was_sent_again_waits_its_turn_like_any_other(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender, losses = RecordingMender(), [True]
    monitor = Monitor(  # type: ignore[arg-type]
        instance, mender, lambda location: 5, lambda: bool(losses) and losses.pop()
    )
    a_run(instance, clock)
    clock.forward(QUIET_WHEN_EMPTIED)
    monitor.look()
    clock.forward(module.HASTE_AFTER_FLUSH)
    before = len(mender.looked_at)
    for _ in range(int(QUIET_WHEN_BUSY.total_seconds()) - 1):
        clock.forward(timedelta(seconds=1))
        monitor.look()
    assert len(mender.looked_at) == before, "its message is behind others in the queue"


def test_a_dead_launchers_reservation_waits_for_another_launcher_before_it_is_given_up_and_does_not_count(
    instance: OrchordInstance, clock: Clock
) -> None:
    mender = RecordingMender()
    monitor = Monitor(instance, mender, lambda station: 0)  # type: ignore[arg-type]
    run_id = a_run(instance, clock)
    claim = Claim(run_id, "a", 1, "token", "dead launcher", clock.now)
    assert instance.storage.launches.reserve(claim).claimed
    monitor.look()
    for _ in range(int(module.RESERVATION_DEAD_AFTER.total_seconds())):
        clock.forward(timedelta(seconds=1))
        monitor.look()
        if clock.now - claim.at <= module.RESERVATION_DEAD_AFTER:
            assert mender.lost == []
    clock.forward(timedelta(seconds=1))
    monitor.look()
    assert [(one.step_key, one.worker_id) for one in mender.lost] == [("a", "dead launcher")]
    assert mender.counted == [False]
