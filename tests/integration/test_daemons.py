"""Several daemons over one database: one makes the ticks, another takes over when it dies, and no tick comes twice."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import yaml

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.snapshot import LocationSnapshot, ScheduleSnapshot, SensorSnapshot
from orchord.storage.values import DaemonRow, TickEnd
from orchord.testing import eventually
from orchord.ticks import InstigatorKey, InstigatorKind, Tick, TickStatus

pytestmark = [pytest.mark.broker, pytest.mark.slow]

TAKE_OVER_SECONDS = 10.0
STOP_SECONDS = 5.0
START_SECONDS = 30.0


class Daemons:
    """Processes of ``orchord daemon`` over one instance, and hands that evaluate ticks at once."""

    def __init__(self, instance: OrchordInstance) -> None:
        self.instance = instance
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._idle = threading.Event()
        self._hands = threading.Thread(target=self._evaluate)
        self._hands.start()

    def start(self, name: str) -> None:
        with (self.instance.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "orchord.cli.main", "daemon"],
                env={**os.environ, "ORCHORD_HOME": str(self.instance.home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_two(self) -> None:
        self.start("first")
        self.start("second")
        self.wait(lambda: len(self.rows()) == 2 and self.leader(), START_SECONDS)

    def wait(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait until a condition holds; a failure shows the daemons' logs as they are then."""
        try:
            eventually(condition, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def rows(self) -> list[DaemonRow]:
        return self.instance.storage.daemons.all()

    def leader(self) -> str | None:
        """The name of the process that leads by what it reports of itself."""
        names = {process.pid: name for name, process in self.processes.items()}
        return next((names.get(row.pid) for row in self.rows() if row.is_leader and row.pid in names), None)

    def ticks(self, name: str) -> list[Tick]:
        kind = InstigatorKind.SENSOR if name.startswith("sensor") else InstigatorKind.SCHEDULE
        return self.instance.storage.ticks.page(InstigatorKey("here", kind, name), limit=1000)

    def logs(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-1500:] for log in sorted(self.instance.home.glob("*.log")))

    def _evaluate(self) -> None:
        """End every open tick, as tick workers would."""
        ticks = self.instance.storage.ticks
        while not self._idle.wait(0.05):
            for tick in ticks.open(2000, utc_now() + timedelta(hours=1)):
                now = utc_now()
                if ticks.claim(tick.tick_id, f"token{tick.tick_id}", "hands", now) is not None:
                    ticks.finish(TickEnd(tick.tick_id, f"token{tick.tick_id}", TickStatus.SKIPPED, now))

    def stop(self) -> None:
        self._idle.set()
        self._hands.join()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(params=["postgres", "sqlite"])
def daemons(request: pytest.FixtureRequest, valkey_url: str, tmp_path: Path) -> Iterator[Daemons]:
    content: dict[str, object] = {"celery": {"broker": valkey_url}}
    if request.param == "postgres":
        content["storage"] = {"postgres": {"postgres_url": request.getfixturevalue("postgres_url")}}
    (tmp_path / "orchord.yaml").write_text(yaml.safe_dump(content))
    with OrchordInstance.from_home(Settings(tmp_path, True)) as instance:
        instance.storage.migrate()
        made = Daemons(instance)
        yield made
        made.stop()


def test_another_daemon_makes_the_next_tick_when_the_leader_is_killed(daemons: Daemons) -> None:
    every_second = SensorSnapshot("sensor", minimum_interval_seconds=1, default_status="RUNNING")
    daemons.instance.storage.locations.put(LocationSnapshot("here", sensors=(every_second,)))
    daemons.start_two()
    daemons.wait(lambda: len(daemons.ticks("sensor")) >= 3, 10)
    leader = daemons.leader()
    assert leader is not None
    os.killpg(daemons.processes[leader].pid, signal.SIGKILL)
    killed_at = utc_now()
    daemons.processes.pop(leader).wait()
    daemons.wait(
        lambda: any(tick.planned_at > killed_at for tick in daemons.ticks("sensor")),
        TAKE_OVER_SECONDS,
    )
    keys = Counter(tick.tick_key for tick in daemons.ticks("sensor"))
    assert set(keys.values()) == {1}
    # The new leader keeps to the rhythm of the one that died.
    planned = sorted(tick.planned_at for tick in daemons.ticks("sensor"))
    assert all((later - earlier) % timedelta(seconds=1) == timedelta(0) for earlier, later in zip(planned, planned[1:]))


def test_a_daemon_that_is_asked_to_stop_gives_the_lead_away_at_once(daemons: Daemons) -> None:
    daemons.start_two()
    leader = daemons.leader()
    assert leader is not None
    stopping = daemons.processes.pop(leader)
    began = time.monotonic()
    stopping.terminate()
    assert stopping.wait(STOP_SECONDS) == 0
    assert time.monotonic() - began < STOP_SECONDS
    (other,) = daemons.processes
    daemons.wait(lambda: daemons.leader() == other, 3)
    assert [row.pid for row in daemons.rows()] == [daemons.processes[other].pid]


def test_three_hundred_schedules_of_one_moment_have_one_tick_each(daemons: Daemons) -> None:
    schedules = tuple(
        ScheduleSnapshot(f"s{number}", "a_job", ("0 0 1 1 *",), default_status="RUNNING") for number in range(300)
    )
    # All of them missed the newest of their times alone, and are due as soon as a daemon leads.
    last_year = utc_now().replace(year=utc_now().year - 1, month=6)
    storage = daemons.instance.storage
    storage.locations.put(LocationSnapshot("here", schedules=schedules))
    keys = [InstigatorKey("here", InstigatorKind.SCHEDULE, schedule.name) for schedule in schedules]
    storage.ticks.make([], dict.fromkeys(keys, last_year))
    daemons.start_two()
    daemons.wait(lambda: len(storage.ticks.page(limit=1000)) >= 300, 15)
    made = Counter(tick.key for tick in storage.ticks.page(limit=1000))
    assert made == Counter(keys)


def test_a_daemon_goes_on_when_the_broker_was_away(daemons: Daemons, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        others = {entry["id"] for entry in client.client_list()}
    every_second = SensorSnapshot("sensor", minimum_interval_seconds=1, default_status="RUNNING")
    daemons.instance.storage.locations.put(LocationSnapshot("here", sensors=(every_second,)))
    daemons.start("only")
    daemons.wait(lambda: daemons.ticks("sensor"), START_SECONDS)
    # Every connection of the daemon at once, as when the broker was started anew.
    with redis.Redis.from_url(valkey_url) as client:
        for entry in client.client_list():
            if entry["id"] not in others and entry["id"] != str(client.client_id()):
                client.client_kill_filter(_id=entry["id"])
    seen = len(daemons.ticks("sensor"))
    daemons.wait(lambda: len(daemons.ticks("sensor")) >= seen + 3, 15)
    assert daemons.processes["only"].poll() is None
    daemons.wait(lambda: not daemons.rows()[0].errors, 15)
