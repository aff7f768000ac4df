"""Tick workers for real: a worker process, a broker and each engine of storage, and sensors that behave badly.

How requests become runs is also tested without processes, in tests/unit/app/instance/test_evaluation.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import orchord as dg
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.instance.launch import LaunchRequest
from orchord.runs import Run
from orchord.settings import Settings
from orchord.storage import RunFilter
from orchord.testing import eventually
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus

CODE = Path(__file__).parent / "ticking_code.py"
LOCATION = "ticking_code"


class Ticking:
    """An instance with a worker on ``ticking_code.py``; makes ticks and sends them as the daemon would."""

    def __init__(self, home: Path, instance_file: dict[str, Any]) -> None:
        home.mkdir()
        (home / "orchord.yaml").write_text(yaml.safe_dump(instance_file))
        self.home = home
        self.instance = OrchordInstance.from_home(Settings(home, True))
        self.instance.storage.migrate()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        arguments = ["worker", "-f", str(CODE), "--concurrency", "1", *options]
        with (self.home / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchord.cli.main", *arguments],
                env={**os.environ, "ORCHORD_HOME": str(self.home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def tick_workers(self) -> list[int]:
        alive = self.instance.storage.workers.alive(utc_now() - timedelta(seconds=6))
        return [worker.pid for worker in alive if worker.queues == (f"ticks.{LOCATION}",)]

    def key(self, name: str) -> InstigatorKey:
        is_schedule = name in ("every_minute", "nightly", "deadly", "stuck", "slow")
        return InstigatorKey(LOCATION, InstigatorKind.SCHEDULE if is_schedule else InstigatorKind.SENSOR, name)

    def send(self, name: str, tick_key: str = "due:1", *, limit: float = 30.0, **fields: Any) -> Tick:
        key = self.key(name)
        lane = f"sensor:{name}" if key.kind is InstigatorKind.SENSOR and not name.startswith("on_s") else None
        new = NewTick(key, tick_key, fields.pop("planned_at", utc_now()), limit, **{"lane": lane, **fields})
        (tick,) = self.instance.storage.ticks.make([new])
        self.instance.courier.send_ticks([tick])
        return tick

    def ended(self, tick: Tick, seconds: float = 20.0) -> Tick:
        def found() -> Tick | None:
            known = self.instance.storage.ticks.find(tick.tick_id)
            return known if known is not None and known.status.is_final else None

        ended = eventually(found, seconds, because=f"tick {tick} should end\n{self.log()}")
        assert ended is not None
        return ended

    def evaluated(self, name: str, tick_key: str = "due:1", **fields: Any) -> Tick:
        return self.ended(self.send(name, tick_key, **fields))

    def runs_of(self, tick: Tick) -> list[Run]:
        return [self.instance.storage.runs.get(run_id) for run_id in tick.run_ids]

    def wait_for_runs(self, *run_ids: str) -> None:
        for run_id in run_ids:
            eventually(lambda: self.instance.storage.runs.get(run_id).status.is_terminal, 30, because=self.log())

    def log(self) -> str:
        return (self.home / "worker.log").read_text(errors="replace")[-6000:]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.instance.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ticking(request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str) -> Iterator[Ticking]:
    content: dict[str, Any] = {"celery": {"broker": valkey_url}}
    if request.param == "postgres":
        content["storage"] = {"postgres": {"postgres_url": request.getfixturevalue("postgres_url")}}
    made = Ticking(tmp_path / "home", content)
    yield made
    made.stop()


def test_schedules_and_sensors_make_runs_that_come_to_their_end(ticking: Ticking):
    ticking.start()
    planned = datetime(2026, 1, 1, 11, 59, tzinfo=UTC)
    by_clock = ticking.evaluated("every_minute", planned.isoformat(), planned_at=planned)
    (run,) = ticking.runs_of(by_clock)
    assert (by_clock.status, by_clock.error) == (TickStatus.SUCCESS, None)
    assert run.tags["planned"] == "2026-01-01T12:59:00+01:00", "in the schedule's own time zone"
    assert run.tags["orchord/schedule_name"] == "every_minute"
    assert run.tags["orchord/scheduled_execution_time"] == planned.isoformat()
    assert run.tags["orchord/tick"] == str(by_clock.tick_id)

    first = ticking.evaluated("counting", "due:1")
    second = ticking.evaluated("counting", "due:2")
    third = ticking.evaluated("counting", "due:3")
    assert [tick.cursor for tick in (first, second, third)] == ["1", "2", "3"]
    assert [record["message"] for record in second.data["log"]] == ["number 2"]
    assert (third.status, third.run_ids, third.data["deduplicated"]) == (TickStatus.SKIPPED, (), ["half 1"])
    state = ticking.instance.storage.instigators.state(ticking.key("counting"))
    assert (state.cursor, state.last_run_key) == ("3", "half 1")
    (counted,) = ticking.runs_of(second)
    assert counted.tags["orchord/sensor_name"] == "counting"
    assert (counted.tags["orchord/run_key"], counted.tags["number"]) == ("half 1", "2")
    ticking.wait_for_runs(run.run_id, counted.run_id)
    assert {one.status for one in ticking.instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


def test_pushes_wait_for_each_other_and_keep_their_order(ticking: Ticking):
    ticking.start("--only", "ticks")
    ticks = [ticking.send("pushed", f"push:{number}", payload={"number": number}) for number in range(10)]
    ended = [ticking.ended(tick) for tick in ticks]
    assert [ticking.runs_of(tick)[0].tags["pushed"] for tick in ended] == [str(number) for number in range(10)]
    # Starts are no measure: a process notes its own before it waits for the lane, or for SQLite's one lock.
    assert all(one.ended_at <= other.ended_at for one, other in zip(ended, ended[1:], strict=False))
    assert ticking.evaluated("pushed", "due:9").skip_reason == "nothing was pushed"


def test_a_tick_with_a_mistaken_request_makes_no_run_and_says_every_mistake(ticking: Ticking):
    ticking.start("--only", "ticks")
    tick = ticking.evaluated("mistaken")
    assert (tick.status, tick.run_ids) == (TickStatus.FAILURE, ())
    assert tick.error is not None
    assert tick.error.cls_name == "InvalidConfigError"
    assert "request 2 (run key 'bad'): " in tick.error.message
    assert "request 3: " in tick.error.message
    assert ticking.instance.get_runs() == []
    assert ticking.instance.storage.instigators.state(ticking.key("mistaken")).cursor is None


def test_bad_sensors_fail_with_clear_words_and_delay_nobody(ticking: Ticking):
    ticking.start("--only", "ticks")
    hanging = [ticking.send(name, limit=0.5) for name in ("sleeping", "stuck_in_c")]
    dying = [ticking.send(name) for name in ("ending_itself", "leaving", "raising")]
    assert ticking.evaluated("counting").status is TickStatus.SUCCESS, "while others hang"
    asleep, stuck = (ticking.ended(tick) for tick in hanging)
    for tick in (asleep, stuck):
        assert (tick.status, tick.error and tick.error.cls_name) == (TickStatus.FAILURE, "TickTimeLimitExceeded")
    assert asleep.error is not None
    assert "took longer than its limit of 0.5 s. Raise it by" in asleep.error.message
    assert asleep.error.stack is not None
    assert "ticking_code.py" in asleep.error.stack
    assert stuck.error is not None
    assert "its process was ended" in stuck.error.message
    assert stuck.ended_at is not None
    assert stuck.started_at is not None
    assert (stuck.ended_at - stuck.started_at).total_seconds() < 15, "before the daemon has to see to it"
    assert "sum(itertools.repeat(1))" in ticking.log() or "stuck_in_c" in ticking.log()
    dead, left, raised = (ticking.ended(tick) for tick in dying)
    assert dead.error is not None
    assert dead.error.cls_name == "TickProcessDied"
    assert "The process that evaluated sensor 'ending_itself' died after" in dead.error.message
    assert left.error is not None
    assert left.error.cls_name == "SystemExit"
    assert raised.error is not None
    assert raised.error.message == "the other side is away"
    assert ticking.instance.storage.instigators.state(ticking.key("raising")).cursor is None
    assert ticking.evaluated("counting", "due:2").cursor == "2", "the worker goes on"


def test_asset_sensors_see_every_event_and_ask_for_assets(ticking: Ticking):
    ticking.start()
    assert ticking.evaluated("on_orders").skip_reason == "No new materialization of orders."
    ids = [ticking.instance.report_runless_asset_event(dg.AssetMaterialization("orders")).id for _ in range(120)]
    tick = ticking.evaluated("on_orders", "due:2")
    assert [run.run_key for run in ticking.runs_of(tick)] == [str(event_id) for event_id in ids[:100]]

    def caught_up() -> bool:
        return ticking.instance.storage.instigators.state(tick.key).cursor == str(ids[-1])

    eventually(caught_up, 20, because="the rest of the burst comes at once")
    rest = ticking.instance.storage.ticks.page(tick.key, limit=1)[0]
    assert (rest.tick_key, len(rest.run_ids)) == (f"more:{tick.tick_id}", 20)
    assert ticking.runs_of(ticking.evaluated("on_all"))[0].tags["seen"] == "120"

    made = ticking.evaluated("making_orders")
    (run,) = ticking.runs_of(made)
    assert run.asset_selection == ("orders",)
    (observation,) = ticking.instance.storage.assets.latest(["orders"], dg.DagsterEventType.ASSET_OBSERVATION).values()
    assert observation.event.data["metadata"]["rows"] == dg.MetadataValue.int(3).to_json()
    ticking.wait_for_runs(run.run_id)
    newest = ticking.instance.get_latest_materialization_event("orders")
    assert newest is not None
    assert newest.run_id == run.run_id


def test_run_status_sensors_are_given_the_run_and_its_event(ticking: Ticking):
    ticking.start()
    eventually(ticking.tick_workers, 20, because="it publishes its jobs first")
    launched, _ = ticking.instance.launch(LaunchRequest(job_name="hello"))
    failed, _ = ticking.instance.launch(LaunchRequest(job_name="failing"))
    ticking.wait_for_runs(launched.run_id, failed.run_id)
    payload = {"run_id": launched.run_id, "status": "SUCCESS"}
    tick = ticking.evaluated("on_success", f"run:{launched.run_id}:SUCCESS", payload=payload)
    (run,) = ticking.runs_of(tick)
    assert (run.tags["after"], run.tags["by"]) == ("hello", "RUN_SUCCESS")
    payload = {"run_id": failed.run_id, "status": "FAILURE"}
    told = ticking.evaluated("on_failure", f"run:{failed.run_id}:FAILURE", payload=payload)
    assert told.skip_reason is not None
    assert told.skip_reason.startswith("failing: ['fail'], ")
    gone = ticking.evaluated("on_failure", "run:gone:FAILURE", payload={"run_id": "gone", "status": "FAILURE"})
    assert gone.skip_reason == "The run has been deleted."


def test_a_dry_run_says_what_would_be_and_leaves_nothing_behind(ticking: Ticking):
    ticking.start("--only", "ticks")
    tick = ticking.evaluated("counting", "dry:1", is_dry_run=True, lane=None)
    assert tick.status is TickStatus.SUCCESS
    (request,) = tick.data["requests"]
    assert (request["run_key"], request["job_name"], request["tags"]) == ("half 0", "hello", {"number": "1"})
    assert ticking.instance.get_runs() == []
    assert ticking.instance.storage.instigators.state(tick.key).cursor is None
    wrong = ticking.evaluated("mistaken", "dry:2", is_dry_run=True, lane=None)
    assert wrong.error is not None
    assert "request 2" in wrong.error.message


def test_a_name_that_the_worker_does_not_know_is_told(ticking: Ticking):
    ticking.start("--only", "ticks")
    tick = ticking.evaluated("countin")
    assert tick.error is not None
    assert tick.error.message == (
        "Sensor 'countin' is not in the code that this worker has loaded for location 'ticking_code': restart the "
        "workers with the newest code. Did you mean 'counting'?"
    )


def test_a_killed_tick_worker_is_forked_anew_and_goes_with_its_parent(ticking: Ticking):
    process = ticking.start()
    (first,) = eventually(ticking.tick_workers, 20, because=ticking.log())
    os.kill(first, signal.SIGKILL)
    assert ticking.evaluated("counting").status is TickStatus.SUCCESS
    (second,) = eventually(lambda: [one for one in ticking.tick_workers() if one != first], 20)
    process.kill()
    process.wait()
    eventually(lambda: not _is_alive(second), 20, because="it ends with its parent")


def test_many_schedules_travel_in_few_messages(ticking: Ticking):
    ticking.start("--only", "ticks")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    new = [
        NewTick(ticking.key("nightly"), (at + timedelta(days=day)).isoformat(), at + timedelta(days=day), 30.0)
        for day in range(60)
    ]
    ticks = ticking.instance.storage.ticks.make(new)
    for _ in range(2):
        ticking.instance.courier.send_ticks(ticks)
    ended = [ticking.ended(tick) for tick in ticks]
    assert {tick.status for tick in ended} == {TickStatus.SUCCESS}
    runs = ticking.instance.get_runs(RunFilter(tags={"orchord/schedule_name": "nightly"}))
    assert len(runs) == 60, "sent twice, evaluated once"


def test_a_schedule_that_takes_its_process_with_it_fails_alone(ticking: Ticking):
    """All of them travel in one message, and are claimed by one process at once."""
    ticking.start("--only", "ticks")
    names = ["nightly", "every_minute", "deadly", "nightly", "slow", "stuck", "every_minute", "nightly"]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    new = [
        NewTick(ticking.key(name), f"t{number}", at, 0.5 if name == "stuck" else 30.0)
        for number, name in enumerate(names)
    ]
    ticks = ticking.instance.storage.ticks.make(new)
    ticking.instance.courier.send_ticks(ticks)
    ended = {number: ticking.ended(tick, 30.0) for number, tick in enumerate(ticks)}
    failed = {names[number]: tick for number, tick in ended.items() if tick.status is TickStatus.FAILURE}
    assert {name: tick.error and tick.error.cls_name for name, tick in failed.items()} == {
        "deadly": "TickProcessDied",
        "stuck": "TickTimeLimitExceeded",
    }
    others = [tick for tick in ended.values() if tick.key.name not in failed]
    assert [tick.status for tick in others] == [TickStatus.SUCCESS] * 6
    assert [tick.tries for tick in ended.values()] == [1] * len(names), "no try is lost by what others did"
    runs = ticking.instance.get_runs()
    assert sorted(run.run_id for run in runs) == sorted(run_id for tick in others for run_id in tick.run_ids)
    assert len(runs) == 6


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
