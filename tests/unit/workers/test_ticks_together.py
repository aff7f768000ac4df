"""Ticks of one message in one process: claimed and ended together, while each answers for itself alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchord.errors import StorageUnavailableError
from orchord.events import utc_now
from orchord.instance import InstanceConfig, OrchordInstance
from orchord.instance.evaluation import evaluate
from orchord.location import LocationTarget, load_location
from orchord.storage.values import TickEnd, TickFinished
from orchord.testing import eventually
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus
from orchord_workers.ticks import runner as runner_module
from orchord_workers.ticks import together as together_module
from orchord_workers.ticks.marks import Marks
from orchord_workers.ticks.runner import TickRunner, token_prefix

CODE = """
import orchord as dg

@dg.job
def nightly(): ...

@dg.schedule(cron_schedule="0 0 * * *", job=nightly)
def quiet(context):
    return dg.SkipReason("nothing to do")

@dg.schedule(cron_schedule="0 0 * * *", job=nightly)
def breaks(context):
    raise RuntimeError("no such table")

defs = dg.Definitions(jobs=[nightly], schedules=[quiet, breaks])
"""


class Process:
    """One pool child: an instance, its runner, and ticks for it."""

    def __init__(self, folder: Path) -> None:
        fake = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher"}
        self.instance = OrchordInstance(folder, InstanceConfig.parse({"run_launcher": fake}, folder))
        self.courier = FakeCourier(self.instance)
        self.instance.__dict__["courier"] = self.courier
        self.instance.storage.migrate()
        (folder / "home.py").write_text(CODE)
        self.code = load_location(LocationTarget(file=folder / "home.py"))
        self.marks = Marks()
        self.runner = TickRunner(self.instance, self.code, "worker", 1, self.marks)

    def make(self, *names: str) -> list[int]:
        now = utc_now()
        keys = [InstigatorKey("home", InstigatorKind.SCHEDULE, name) for name in names]
        new = [NewTick(key, f"t{number}", now, 60.0) for number, key in enumerate(keys)]
        return [tick.tick_id for tick in self.instance.storage.ticks.make(new)]

    def ticks(self, numbers: Sequence[int]) -> list[Tick]:
        found = [self.instance.storage.ticks.find(number) for number in numbers]
        return [tick for tick in found if tick is not None]

    def statuses(self, numbers: Sequence[int]) -> list[TickStatus]:
        return [tick.status for tick in self.ticks(numbers)]

    def finishes(self, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
        """Which ticks ended together, from now on."""
        together: list[list[int]] = []
        finish = self.instance.storage.ticks.finish_many

        def noted(ends: Sequence[TickEnd]) -> list[TickFinished]:
            together.append([end.tick_id for end in ends])
            return finish(ends)

        monkeypatch.setattr(self.instance.storage.ticks, "finish_many", noted)
        return together


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    with made.instance:
        yield made


def test_quick_ticks_end_together_and_a_bad_one_fails_alone(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = process.make("quiet", "breaks", "quiet", "quiet")
    together = process.finishes(monkeypatch)
    process.runner.run(numbers)
    skipped, failed = TickStatus.SKIPPED, TickStatus.FAILURE
    assert process.statuses(numbers) == [skipped, failed, skipped, skipped]
    assert together == [numbers]
    assert len({tick.token for tick in process.ticks(numbers)}) == 1


def test_what_is_done_does_not_wait_for_slow_ones_and_those_begin_when_they_do(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LONGEST_WAIT_SECONDS", 0.0)
    numbers = process.make("quiet", "quiet", "quiet")
    together = process.finishes(monkeypatch)
    process.runner.run(numbers)
    assert together == [[number] for number in numbers]
    first, second, third = process.ticks(numbers)
    assert first.ended_at is not None
    assert second.started_at is not None
    assert third.started_at is not None
    assert first.ended_at < second.started_at < third.started_at


def test_a_tick_that_was_ended_by_others_meanwhile_is_not_evaluated(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LONGEST_WAIT_SECONDS", 0.0)
    numbers = process.make("quiet", "quiet", "quiet")
    together = process.finishes(monkeypatch)
    monkeypatch.setattr(process.instance.storage.ticks, "renew", lambda ids, token, at: set(ids) - {numbers[1]})
    process.runner.run(numbers)
    assert together == [[numbers[0]], [numbers[2]]]


def test_an_end_that_cannot_be_written_fails_its_own_tick_only(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = process.make("quiet", "quiet", "quiet")
    finish = process.instance.storage.ticks.finish_many

    def refusing(ends: Sequence[TickEnd]) -> list[TickFinished]:
        if numbers[1] in [end.tick_id for end in ends]:
            raise ValueError("no room")
        return finish(ends)

    monkeypatch.setattr(process.instance.storage.ticks, "finish_many", refusing)
    process.runner.run(numbers)
    assert process.statuses(numbers) == [TickStatus.SKIPPED, TickStatus.FAILURE, TickStatus.SKIPPED]
    error = process.ticks(numbers)[1].error
    assert error is not None
    assert error.message == "What the tick came to could not be written: no room"


def test_while_storage_is_away_what_was_not_evaluated_is_given_back(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = process.make("quiet", "quiet", "quiet")

    def away_for_the_second(instance: Any, code: Any, tick: Tick, **options: Any) -> Any:
        if tick.tick_id == numbers[1]:
            raise StorageUnavailableError("away")
        return evaluate(instance, code, tick, **options)

    monkeypatch.setattr(runner_module, "evaluate", away_for_the_second)
    with pytest.raises(StorageUnavailableError):
        process.runner.run(numbers)
    assert process.statuses(numbers) == [TickStatus.SKIPPED, TickStatus.PENDING, TickStatus.PENDING]
    assert [tick.tries for tick in process.ticks(numbers)] == [1, 0, 0]


def test_a_slow_one_holds_nobody_up_who_came_before_or_waits_behind(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together_module, "LONG_SECONDS", 0.05)
    monkeypatch.setattr(together_module, "LOOK_SECONDS", 0.01)
    numbers = process.make("quiet", "quiet", "quiet", "quiet")
    seen: list[Any] = []

    def slow_second(instance: Any, code: Any, tick: Tick, **options: Any) -> Any:
        if tick.tick_id == numbers[1]:
            eventually(lambda: process.ticks(numbers)[3].sent_at is not None, 10)
            seen.extend(process.statuses(numbers))
        return evaluate(instance, code, tick, **options)

    monkeypatch.setattr(runner_module, "evaluate", slow_second)
    process.runner.run(numbers)
    assert seen == [TickStatus.SKIPPED, TickStatus.STARTED, TickStatus.PENDING, TickStatus.PENDING]
    assert [tick.tick_id for tick in process.courier.ticks] == numbers[2:]
    assert process.statuses(numbers)[:2] == [TickStatus.SKIPPED] * 2
    assert [tick.tries for tick in process.ticks(numbers)] == [1, 1, 0, 0]


class TestADeadProcess:
    def lost(self, process: Process, at: int | None) -> list[int]:
        """Let another process die while it holds three ticks, of which it was at this one."""
        numbers = process.make("quiet", "quiet", "quiet")
        process.instance.storage.ticks.claim_many(numbers, token_prefix("dead", 7) + "x", "dead", utc_now())
        process.runner.process_lost("dead", 7, at if at is None or at == 0 else numbers[at - 1])
        return numbers

    def test_fails_the_tick_that_it_was_at_and_gives_the_others_back(self, process: Process) -> None:
        numbers = self.lost(process, 2)
        assert process.statuses(numbers) == [TickStatus.PENDING, TickStatus.FAILURE, TickStatus.PENDING]
        assert [tick.tries for tick in process.ticks(numbers)] == [0, 1, 0]

    @pytest.mark.parametrize("at", [0, None])
    def test_costs_each_a_try_when_nobody_knows_which_it_was_at(self, process: Process, at: int | None) -> None:
        numbers = self.lost(process, at)
        assert process.statuses(numbers) == [TickStatus.PENDING] * 3
        assert [tick.tries for tick in process.ticks(numbers)] == [1, 1, 1]
        for _ in range(2):
            process.instance.storage.ticks.claim_many(numbers, token_prefix("dead", 7) + "y", "dead", utc_now())
            process.runner.process_lost("dead", 7, at)
        assert process.statuses(numbers) == [TickStatus.FAILURE] * 3, "not for ever"


def test_marks_are_seen_by_other_processes_and_told_of_no_other_process() -> None:
    marks = Marks()
    assert marks.get(4_000_000) is None
    marks.put(4_000_000, 17)
    assert (marks.get(4_000_000), marks.get(3_999_999), marks.get(4_000_001)) == (17, None, None)
    marks.put(4_000_000, 0)
    assert marks.get(4_000_000) == 0
