"""``orchord schedule`` and ``orchord sensor`` as a user types them, over an instance whose courier only remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from orchord.cli.main import run
from orchord.cli.ticks import print_ticks
from orchord.events import ErrorInfo, utc_now
from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.snapshot import LocationSnapshot, ScheduleSnapshot, SensorSnapshot
from orchord.storage.values import DaemonRow, TickEnd, WorkerRow
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, TickStatus


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Cli = Callable[..., Done]
NIGHTLY = InstigatorKey("shop", InstigatorKind.SCHEDULE, "nightly")
HOOKS = InstigatorKey("shop", InstigatorKind.SENSOR, "hooks")


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrchordInstance]:
    plugin = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher"}
    (tmp_path / "orchord.yaml").write_text(yaml.safe_dump({"run_launcher": plugin}))
    monkeypatch.setenv("ORCHORD_HOME", str(tmp_path))
    with OrchordInstance.from_home(Settings(home=tmp_path, home_is_given=True)) as opened:
        opened.storage.migrate()
        opened.storage.locations.put(
            LocationSnapshot(
                "shop",
                schedules=(
                    ScheduleSnapshot("nightly", "numbers", ("0 2 * * *", "30 2 * * *"), "Europe/Berlin"),
                    ScheduleSnapshot("every_minute", "numbers", ("* * * * *",), default_status="RUNNING"),
                ),
                sensors=(
                    SensorSnapshot("files", job_names=("numbers",), minimum_interval_seconds=5),
                    SensorSnapshot("hooks", job_names=("numbers",), default_status="RUNNING"),
                    SensorSnapshot("on_failure", "RUN_STATUS", run_status="FAILURE"),
                ),
            )
        )
        yield opened


@pytest.fixture
def cli(instance: OrchordInstance, capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str) -> Done:
        capfd.readouterr()
        exit_code = run(arguments)
        captured = capfd.readouterr()
        return Done(exit_code, captured.out, captured.err)

    return call


def end(instance: OrchordInstance, tick_id: int, status: TickStatus, **fields: Any) -> None:
    assert instance.storage.ticks.claim(tick_id, f"t{tick_id}", "w1", utc_now())
    instance.storage.ticks.finish(TickEnd(tick_id, f"t{tick_id}", status, utc_now(), **fields))


@pytest.fixture
def evaluated(instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has every tick that is sent end in a given way, as by a worker."""
    now = utc_now()
    instance.storage.workers.beat(WorkerRow("w1", "host", 1, "shop", ("ticks.shop",), now, now))

    def as_told(status: TickStatus, **fields: Any) -> None:
        def send(courier: FakeCourier, ticks: Any) -> None:
            for tick in ticks:
                end(courier.instance, tick.tick_id, status, **fields)

        monkeypatch.setattr(FakeCourier, "send_ticks", send)

    return as_told


class TestSchedules:
    def test_are_listed_with_their_next_tick(self, cli: Cli) -> None:
        listed = cli("schedule", "list", "--json").json
        assert [(item["name"], item["status"], item["next_tick_at"] is None) for item in listed] == [
            ("every_minute", "RUNNING", False),
            ("nightly", "STOPPED", True),
        ]
        assert "0 2 * * *, 30 2 * * *" in cli("schedule", "list").out
        assert [item["name"] for item in cli("schedule", "list", "--stopped", "--json").json] == ["nightly"]

    def test_are_started_stopped_and_reset(self, cli: Cli) -> None:
        assert cli("schedule", "start", "nightly").out == "schedule nightly of shop: RUNNING\n"
        assert cli("schedule", "stop", "nightly", "--location", "shop", "--json").json == [
            {"name": "nightly", "location": "shop", "status": "STOPPED", "is_default": False}
        ]
        assert cli("schedule", "reset", "nightly", "--json").json[0]["is_default"] is True

    def test_are_all_started_and_stopped(self, cli: Cli) -> None:
        assert {item["status"] for item in cli("schedule", "start", "--start-all", "--json").json} == {"RUNNING"}
        assert {item["status"] for item in cli("schedule", "stop", "--stop-all", "--json").json} == {"STOPPED"}

    @pytest.mark.parametrize("arguments", [("start",), ("start", "nightly", "--start-all"), ("stop",)])
    def test_are_named_or_all_meant(self, cli: Cli, arguments: tuple[str, ...]) -> None:
        done = cli("schedule", *arguments)
        assert done.code == 2
        assert f"Give a name, or --{arguments[0]}-all." in done.err

    def test_an_unknown_one_is_told_with_the_nearest_name(self, cli: Cli) -> None:
        done = cli("schedule", "start", "nightli")
        assert (done.code, done.err) == (1, "Error: No schedule is called 'nightli'. Did you mean 'nightly'?\n")

    def test_are_previewed_through_a_change_of_the_clocks(self, cli: Cli) -> None:
        printed = cli("schedule", "preview", "nightly", "-n", "3", "--after", "2027-10-30T20:00:00+00:00")
        assert printed.out.splitlines() == [
            "2027-10-31T02:00:00+01:00",
            "2027-10-31T02:30:00+01:00",
            "2027-11-01T02:00:00+01:00",
        ]
        wrong = cli("schedule", "preview", "nightly", "--after", "soon")
        assert wrong.code == 2
        assert "'soon' is no time. Give one such as 2027-01-31T06:00:00+01:00." in wrong.err

    def test_are_shown_with_their_ticks(self, cli: Cli, instance: OrchordInstance) -> None:
        first, second = instance.storage.ticks.make(
            [NewTick(NIGHTLY, "a", utc_now(), 60.0), NewTick(NIGHTLY, "b", utc_now(), 60.0)]
        )
        end(instance, first.tick_id, TickStatus.SKIPPED, skip_reason="not today")
        end(instance, second.tick_id, TickStatus.FAILURE, error=ErrorInfo("ValueError", "it broke"))
        shown = cli("schedule", "show", "nightly").out
        assert "STOPPED (by its code)" in shown
        assert "not today" in shown
        assert "ValueError: it broke" in shown
        assert len(cli("schedule", "show", "nightly", "--json").json["next_ticks"]) == 5
        skipped = cli("schedule", "ticks", "nightly", "--status", "skipped", "--json").json
        assert [tick["tick_id"] for tick in skipped] == [first.tick_id]
        older = cli("schedule", "logs", "nightly", "--before", str(second.tick_id), "--json").json
        assert older == skipped

    def test_that_made_many_runs_are_shown_with_the_first_of_them(
        self, instance: OrchordInstance, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (tick,) = instance.storage.ticks.make([NewTick(NIGHTLY, "a", utc_now(), 60.0)])
        print_ticks([msgspec.structs.replace(tick, run_ids=tuple(f"run-{number}" for number in range(2000)))])
        shown = capfd.readouterr().out
        assert "run-4" in shown
        assert "run-5" not in shown
        assert "and 1995 more" in shown

    def test_are_wiped_when_one_is_sure(self, cli: Cli, instance: OrchordInstance) -> None:
        (tick,) = instance.storage.ticks.make([NewTick(NIGHTLY, "a", utc_now(), 60.0)])
        end(instance, tick.tick_id, TickStatus.SUCCESS)
        cli("schedule", "start", "nightly")
        assert cli("schedule", "wipe", "--yes", "--json").json == {"ticks": 1}
        assert cli("schedule", "ticks", "nightly").err == "No ticks.\n"
        assert cli("schedule", "show", "nightly", "--json").json["is_default"] is True

    def test_are_tried_out(self, cli: Cli, evaluated: Callable[..., None]) -> None:
        request = {"run_key": "k", "job_name": "numbers", "run_config": {"ops": {}}, "tags": {}}
        evaluated(TickStatus.SUCCESS, data={"requests": [request], "log": [{"level": "INFO", "message": "looked"}]})
        done = cli("schedule", "dry-run", "nightly", "--at", "2027-01-01T02:00:00+01:00")
        assert (done.code, done.out, done.err) == (
            0,
            "Run of numbers with run_key 'k': {'ops': {}}\n",
            "INFO looked\n",
        )
        tried = cli("schedule", "dry-run", "nightly", "--at", "2027-01-01T02:00:00+01:00", "--json").json
        assert (tried["requests"], tried["planned_at"]) == ([request], "2027-01-01T01:00:00+00:00")


class TestSensors:
    def test_are_listed_shown_and_started(self, cli: Cli) -> None:
        assert [item["name"] for item in cli("sensor", "list", "--json").json] == ["files", "hooks", "on_failure"]
        assert "when a run comes to FAILURE" in cli("sensor", "list").out
        assert cli("sensor", "start", "files").out == "sensor files of shop: RUNNING\n"
        assert "every 5 s" in cli("sensor", "show", "files").out

    def test_have_a_cursor_that_is_set_and_deleted(self, cli: Cli) -> None:
        assert cli("sensor", "cursor", "files", "--set", "17").out == "17\n"
        assert cli("sensor", "cursor", "files", "--json").json["cursor"] == "17"
        assert cli("sensor", "cursor", "files", "--delete").err == "No cursor.\n"
        assert cli("sensor", "cursor", "files", "--delete", "--set", "1").code == 2

    def test_are_pushed_to(self, cli: Cli, instance: OrchordInstance) -> None:
        pushed = cli("sensor", "push", "hooks", "--payload", '{"a": 1}', "--idempotency-key", "k", "--json").json
        again = cli("sensor", "push", "hooks", "--payload", '{"a": 1}', "--idempotency-key", "k", "--json").json
        assert pushed["tick_id"] == again["tick_id"]
        (tick,) = instance.storage.ticks.page(HOOKS, 10)
        assert tick.payload == {"a": 1}
        assert cli("sensor", "push", "files").code == 1
        for wrong in ("[1]", "{"):
            assert cli("sensor", "push", "hooks", "--payload", wrong).code == 2

    def test_are_tried_out(self, cli: Cli, evaluated: Callable[..., None]) -> None:
        evaluated(TickStatus.SKIPPED, skip_reason="no file", cursor="4")
        assert cli("sensor", "preview", "files").out == "Skipped: no file\nCursor: 4\n"
        evaluated(TickStatus.FAILURE, error=ErrorInfo("ValueError", "it broke"))
        failed = cli("sensor", "dry-run", "files")
        assert failed.code == 1
        assert "ValueError: it broke" in failed.err

    def test_without_a_worker_cannot_be_tried_out(self, cli: Cli) -> None:
        done = cli("sensor", "preview", "files")
        assert done.code == 1
        assert "No worker of location 'shop' is alive to evaluate 'files'." in done.err


def test_the_instance_shows_its_daemons(cli: Cli, instance: OrchordInstance) -> None:
    assert "none; start one with `orchord daemon`" in cli("instance", "info").out
    now = utc_now()
    instance.storage.daemons.beat(DaemonRow("d1", "host", 7, now, now, is_leader=True, errors={"clock": "no"}))
    assert "d1 (leads, last seen" in cli("instance", "info").out
    (daemon,) = cli("instance", "info", "--json").json["daemons"]
    assert (daemon["daemon_id"], daemon["is_leader"], daemon["errors"]) == ("d1", True, {"clock": "no"})
