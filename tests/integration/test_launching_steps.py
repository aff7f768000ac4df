"""Launcher workers over a real database, and a platform that does as it is told: what becomes of attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

import orchord as dg
from orchord.definitions.definitions_object import Definitions
from orchord.errors import InstanceConfigError, StorageUnavailableError
from orchord.events import ErrorInfo, utc_now
from orchord.instance.sections import CelerySettings
from orchord.plan.places import Place
from orchord.runs import Attempt, AttemptStatus, Run, RunStatus, new_run_id
from orchord.snapshot import snapshot_of
from orchord.spi import OrchordInstance
from orchord.testing import eventually
from orchord.wire import StepMessage
from orchord_workers.app import close_app, make_app
from orchord_workers.canvas import Canvas
from orchord_workers.containers.platform import (
    RUN_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    Platform,
    PlatformError,
)
from orchord_workers.contexts import RunContexts
from orchord_workers.launching.resync import Resync
from orchord_workers.launching.starter import MOST_TRIES, Started, Starter
from orchord_workers.launching.watchman import Watchman
from orchord_workers.mending import Mender
from orchord_workers.step_runner import Holder, StepRunner


@dg.op
def works() -> None: ...


@dg.job(executor_def=dg.docker_executor)
def one_step() -> None:
    works()


class ObedientPlatform(Platform):
    """Containers that exist by name alone."""

    def __init__(self) -> None:
        self.specs: dict[str, ContainerSpec] = {}
        self.refusal: PlatformError | None = None
        self.ended: list[str] = []
        self.removed: list[str] = []

    def start(self, spec: ContainerSpec) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.specs.setdefault(spec.name, spec)

    def stop(self, name: str, grace_seconds: float) -> None:
        self.ended.append(name)

    def remove(self, name: str) -> None:
        self.specs.pop(name, None)
        self.removed.append(name)

    def list(self, owner: str) -> list[ContainerState]:
        return [ContainerState(spec.name, spec.labels, Phase.RUNNING) for spec in self.specs.values()]

    def watch(self, owner: str, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        stopped.wait()

    def tail(self, name: str, lines: int) -> str:
        return "its last words\n"


class Stage:
    """A run of one step, and launcher workers for it."""

    def __init__(self, instance: OrchordInstance, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance, self.app = instance, app
        self.sent: list[tuple[StepMessage, float | None]] = []

        def send(canvas: Canvas, run: Run, plan: Any, message: StepMessage, parts: Any, **options: Any) -> None:
            self.sent.append((message, options.get("delay_seconds")))

        monkeypatch.setattr(Canvas, "send_step", send)
        snapshot = snapshot_of(Definitions(jobs=[one_step]).resolve(), "home", target=("-m", "code"), image="image:1")
        instance.storage.locations.put(snapshot)
        known = snapshot.job_by_name["one_step"]
        self.run = Run(
            new_run_id(), "one_step", "home", RunStatus.STARTING, known.snapshot_id, utc_now(),
            executor="docker_executor",
        )  # fmt: skip
        instance.storage.runs.create(self.run, [])
        self.platform, self.started = ObedientPlatform(), Started()
        self.starter = Starter(instance, app, "launcher-1", {Place.DOCKER: self.platform}, self.started)

    def as_unit(self) -> Run:
        """Put a run in the place of the other that is one unit of work, in a container."""
        self.run = replace(self.run, run_id=new_run_id(), executor="in_process_executor", unit_place="docker")
        self.instance.storage.runs.create(self.run, [])
        return self.run

    def acts_on_runs(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return what is done about containers of runs, and what is sent, in its order."""
        acts: list[str] = []
        remove = self.platform.remove

        def noted(name: str) -> None:
            acts.append(f"removed {name}")
            remove(name)

        monkeypatch.setattr(Canvas, "send_whole_run", lambda *_, **__: acts.append("sent"))
        monkeypatch.setattr(self.platform, "remove", noted)
        return acts

    def starts_a_unit(self) -> tuple[Watchman, str]:
        """Start the container of a run that is one unit of work, and return who watches it, and its name."""
        self.starter.start_run(self.as_unit().run_id, 1)
        (name,) = self.platform.specs
        watchman, _ = self.watchman()
        watchman.see(self.run_state(name, Phase.RUNNING))
        return watchman, name

    def run_state(self, name: str, phase: Phase, **facts: Any) -> ContainerState:
        labels = {RUN_LABEL: self.run.run_id}
        return ContainerState(name, labels, phase, **facts)

    def acted(self, watchman: Watchman) -> None:
        """Have everything done that is to be done, in this thread."""
        while not watchman._jobs.empty():
            job = watchman._jobs.get()
            assert job is not None
            job()

    def message(self, attempt: int = 1) -> StepMessage:
        return StepMessage(self.run.run_id, "works", attempt)

    def watchman(self, worker_id: str = "launcher-1") -> tuple[Watchman, Resync]:
        contexts = RunContexts(self.instance, None)
        runner = StepRunner(
            self.instance, Canvas(self.app), contexts, holder=Holder(worker_id, 0), notify_end=lambda *_: None
        )
        watchman = Watchman(self.instance, Place.DOCKER, self.platform, Mender(runner))
        return watchman, Resync(self.instance, watchman, worker_id, self.started)

    def attempts(self) -> list[Attempt]:
        return self.instance.storage.attempts.of_run(self.run.run_id)

    @property
    def status(self) -> RunStatus | None:
        return self.instance.storage.runs.status(self.run.run_id)


@pytest.fixture
def stage(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with OrchordInstance.ephemeral() as instance:
        app = make_app(CelerySettings(broker=valkey_url))
        yield Stage(instance, app, monkeypatch)
        close_app(app)


def test_a_message_reserves_the_attempt_and_starts_one_container_however_often_it_comes(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    stage.starter.start_step(stage.message(), (), redelivered=True)
    (spec,) = stage.platform.specs.values()
    (attempt,) = stage.attempts()
    assert (attempt.status, attempt.worker_id, attempt.process_id) == (AttemptStatus.RUNNING, "launcher-1", 0)
    run_id = stage.run.run_id
    assert spec.command == ["orchord", "step", "execute", run_id, "works", "--attempt", "1", "-m", "code"]
    assert spec.environment == {"ORCHORD_CONTAINER_NAME": spec.name, "ORCHORD_LAUNCH_TOKEN": attempt.token}
    assert spec.image == "image:1"
    assert attempt.token not in " ".join([*spec.command, *spec.labels.values()])


def test_a_refusal_fails_the_step_in_the_platforms_words(stage: Stage) -> None:
    stage.platform.refusal = PlatformError("no such image.")
    stage.starter.start_step(stage.message(), ())
    (attempt,) = stage.attempts()
    assert attempt.error is not None
    assert attempt.error.message == "The container of step 'works' was not started: no such image."
    assert stage.status is RunStatus.FAILURE


def test_a_passing_refusal_is_tried_again_ever_later_and_at_last_fails_the_step(stage: Stage) -> None:
    stage.platform.refusal = PlatformError("The engine is away.", is_passing=True)
    for number in range(1, MOST_TRIES + 1):
        stage.starter.start_step(stage.message(number), ())
    assert [message.attempt for message, _ in stage.sent] == list(range(2, MOST_TRIES + 1))
    assert [delay for _, delay in stage.sent][:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    for lost, delay in zip(stage.attempts(), [delay for _, delay in stage.sent], strict=False):
        assert lost.ended_at is not None
        assert lost.retry_at == lost.ended_at + timedelta(seconds=delay or 0.0), "before that the monitor sends nothing"
    last = stage.attempts()[-1]
    assert last.status is AttemptStatus.FAILURE
    assert last.error is not None
    assert last.error.message.endswith("The engine is away. It was tried 20 times.")


def test_a_container_that_began_though_the_answer_was_lost_keeps_its_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(spec: ContainerSpec) -> None:
        own = (stage.run.run_id, "works", 1, spec.environment["ORCHORD_LAUNCH_TOKEN"], "its own", spec.name, 7)
        assert stage.instance.storage.launches.take_over(*own) is not None
        raise PlatformError("No answer in 60 s.", is_passing=True)

    monkeypatch.setattr(stage.platform, "start", start)
    stage.starter.start_step(stage.message(), ())
    (attempt,) = stage.attempts()
    assert (attempt.status, attempt.token) == (AttemptStatus.RUNNING, "its own")
    assert stage.sent == []


def test_what_a_container_took_over_meanwhile_is_not_given_up_with_its_reservation(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    (reserved,) = stage.attempts()
    own = (stage.run.run_id, "works", 1, reserved.token, "its own", "box", 7)
    assert stage.instance.storage.launches.take_over(*own) is not None
    watchman, _ = stage.watchman()
    watchman.mender.attempts_lost([reserved], "its launcher worker died")
    assert [one.status for one in stage.attempts()] == [AttemptStatus.RUNNING]
    assert stage.sent == []


def test_a_database_that_is_away_for_a_moment_fails_no_step_whose_container_is_being_started(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    locations, failed = stage.instance.storage.locations, list[str]()
    find = locations.find

    def find_later(name: str) -> Any:
        if not failed:
            failed.append(name)
            raise StorageUnavailableError("The database is away.")
        return find(name)

    monkeypatch.setattr(locations, "find", find_later)
    stage.starter.start_step(stage.message(), ())
    assert failed
    assert [one.status for one in stage.attempts()] == [AttemptStatus.RUNNING]
    assert len(stage.platform.specs) == 1


def test_a_run_whose_launcher_is_not_there_any_longer_fails_and_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launcher_of(run: Run) -> Any:
        raise InstanceConfigError("There is no run launcher 'box'.")

    monkeypatch.setattr(stage.instance, "launcher_of", launcher_of)
    stage.starter.start_run(stage.as_unit().run_id, 1, ())
    run = stage.instance.storage.runs.get(stage.run.run_id)
    assert run.status is RunStatus.FAILURE
    assert run.error is not None
    assert "The run's container was not started: InstanceConfigError: There is no run launcher 'box'." in str(run.error)


def test_a_second_message_for_a_run_starts_nothing_while_its_image_is_being_pulled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = stage.as_unit().run_id
    starts: list[str] = []

    def start(spec: ContainerSpec) -> None:
        starts.append(spec.name)
        if len(starts) == 1:
            stage.starter.start_run(run_id, 1, ())

    monkeypatch.setattr(stage.platform, "start", start)
    stage.starter.start_run(run_id, 1, ())
    stage.starter.start_run(run_id, 2, ())
    assert len(starts) == 2


def test_a_run_whose_container_is_lost_gets_another_under_a_name_that_is_free(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = stage.acts_on_runs(monkeypatch)
    watchman, name = stage.starts_a_unit()
    watchman.see(stage.run_state(name, Phase.ENDED, exit_code=137))
    watchman.see(stage.run_state(name, Phase.GONE))
    stage.acted(watchman)
    assert acts == [f"removed {name}", "sent"], "removed first, as the next has its name; attended to once"
    assert watchman.containers_of_run(stage.run.run_id) == []


def test_a_run_fails_with_the_third_container_that_it_loses_before_its_first_step(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = stage.acts_on_runs(monkeypatch)
    watchman, name = stage.starts_a_unit()
    for losses in (1, 2, 3):
        assert stage.status is RunStatus.STARTING
        watchman.see(stage.run_state(name, Phase.RUNNING))
        watchman.see(stage.run_state(name, Phase.ENDED, exit_code=137))
        watchman.see(stage.run_state(name, Phase.GONE))
        stage.acted(watchman)
        assert acts.count("sent") == min(losses, 2)
    assert stage.status is RunStatus.FAILURE


def test_a_kept_container_of_a_run_stands_in_nobodys_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    acts = stage.acts_on_runs(monkeypatch)
    watchman, name = stage.starts_a_unit()
    kept = stage.run_state(name, Phase.ENDED, exit_code=137, is_kept=True)
    watchman.see(kept)
    stage.acted(watchman)
    assert acts == ["sent"]
    stage.starter.start_run(stage.run.run_id, 1, watchman.containers_of_run(stage.run.run_id))
    second = name.removesuffix("1") + "2"
    assert set(stage.platform.specs) == {name, second}
    watchman.see(stage.run_state(second, Phase.RUNNING))
    for _ in range(4):
        watchman.see(kept)
    stage.acted(watchman)
    assert (acts, stage.status) == (["sent"], RunStatus.STARTING), "told of again, it is no further loss"


def test_comparing_is_asked_for_once_however_long_the_acting_thread_is_held_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchord_workers.launching.resync.INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("orchord_workers.launching.resync.DEAD_AFTER", timedelta(seconds=-2))
    watchman, resync = stage.watchman()
    asked: list[Callable[[], object]] = []
    monkeypatch.setattr(watchman, "do", asked.append)
    for _ in range(3):
        resync.look_if_due()
    assert len(asked) == 1
    asked[0]()
    resync.look_if_due()
    assert len(asked) == 2


def test_a_kept_container_of_a_run_does_not_hide_the_next_from_comparing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = stage.as_unit().run_id
    kept = stage.run_state("orchord-run-1", Phase.ENDED, exit_code=137, is_kept=True)
    states = [stage.run_state("orchord-run-2", Phase.RUNNING), kept]
    monkeypatch.setattr(stage.platform, "list", lambda owner: states)
    assert stage.instance.storage.runs.begin_stop(run_id, ErrorInfo("Stopped", "by hand"), utc_now())
    _, resync = stage.watchman()
    resync.look()
    assert stage.platform.ended == ["orchord-run-2"]


def test_a_container_that_ends_before_it_took_its_attempt_over_fails_its_step(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    watchman, _ = stage.watchman()
    watchman.attend(ContainerState(spec.name, spec.labels, Phase.ENDED, exit_code=127))
    (attempt,) = stage.attempts()
    assert attempt.error is not None
    assert "exited with code 127 before the step had ended. Its last lines:\nits last words" in attempt.error.message
    assert stage.platform.removed == [spec.name]


def test_a_container_that_was_removed_has_its_step_sent_again(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    watchman, _ = stage.watchman()
    watchman.attend(ContainerState(spec.name, spec.labels, Phase.GONE))
    (attempt,) = stage.attempts()
    assert attempt.status is AttemptStatus.LOST
    assert [message for message, _ in stage.sent] == [stage.message(2)]


def test_a_container_whose_attempt_has_ended_is_only_taken_away(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    stage.instance.storage.attempts.mark_lost(stage.run.run_id, "works", 1, utc_now(), "by hand")
    watchman, _ = stage.watchman()
    watchman.attend(ContainerState(spec.name, spec.labels, Phase.ENDED, exit_code=1))
    assert [attempt.status for attempt in stage.attempts()] == [AttemptStatus.LOST]
    assert stage.platform.removed == [spec.name]


def test_what_a_dead_launcher_worker_reserved_and_started_is_taken_over_by_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.starter.start_step(stage.message(), ())
    monkeypatch.setattr("orchord_workers.launching.resync.DEAD_AFTER", timedelta(seconds=-1))
    _, resync = stage.watchman("launcher-2")
    resync.look()
    (attempt,) = stage.attempts()
    assert (attempt.worker_id, attempt.status) == ("launcher-2", AttemptStatus.RUNNING)


def test_a_container_that_a_dead_launcher_worker_only_made_is_begun_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    made = ContainerState(spec.name, spec.labels, Phase.PENDING, is_unstarted=True)
    monkeypatch.setattr(stage.platform, "list", lambda owner: [made])
    monkeypatch.setattr("orchord_workers.launching.resync.DEAD_AFTER", timedelta(seconds=-1))
    _, resync = stage.watchman("launcher-2")
    resync.look()
    (attempt,) = stage.attempts()
    assert attempt.status is AttemptStatus.LOST
    assert attempt.error is not None
    assert "made, but never started" in attempt.error.message
    assert stage.platform.removed == [spec.name]
    assert [message.attempt for message, _ in stage.sent] == [2]


def test_a_reservation_without_a_container_is_given_up_when_it_is_missed_twice(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    stage.platform.specs.clear()
    _, resync = stage.watchman()
    resync.look()
    assert stage.attempts()[0].status is AttemptStatus.RUNNING
    resync.look()
    assert stage.attempts()[0].status is AttemptStatus.LOST


def test_a_container_that_works_for_nothing_is_stopped_after_a_grace_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    stage.instance.storage.attempts.mark_lost(stage.run.run_id, "works", 1, utc_now(), "by hand")
    _, resync = stage.watchman()
    resync.look()
    assert stage.platform.ended == []
    monkeypatch.setattr("orchord_workers.launching.resync.GRACE_SECONDS", 0.0)
    resync.look()
    assert stage.platform.ended == [spec.name]


def test_containers_of_a_run_that_is_to_stop_are_asked_to(stage: Stage) -> None:
    stage.starter.start_step(stage.message(), ())
    (spec,) = stage.platform.specs.values()
    watchman, _ = stage.watchman()
    watchman.see(ContainerState(spec.name, spec.labels, Phase.RUNNING))
    assert watchman.interrupt_run(stage.run.run_id) == 1
    assert watchman.interrupt_run("another run") == 0
    watchman.start()
    eventually(lambda: stage.platform.ended)
    watchman.stop()
    assert stage.platform.ended == [spec.name]
