"""The mission document's schedules by the minute and its sensor on a file: deployed on each storage, and in `dev`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NUMBERS = str(Path(__file__).parents[2] / "examples" / "numbers" / "definitions.py")
SCHEDULES = {"process_numbers_schedule": "process_numbers", "process_numbers_asset_schedule": "process_numbers_asset"}
SENSOR = "check_file_sensor"
#: A minute, and what a busy machine may need beside it.
BY_THE_MINUTE_SECONDS = 90.0
BY_THE_FILE_SECONDS = 30.0


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the sensor looks for, which is not there yet."""
    path = tmp_path / "check"
    monkeypatch.setenv("CHECK_FILE", str(path))
    return path


def ticks_of(deployment, kind: str, name: str, status: str) -> list[dict]:
    answer = deployment.client.get(f"/api/v1/{kind}/{name}/ticks", params={"status": status}).raise_for_status()
    items: list[dict] = answer.json()["items"]
    return items


def turn_on(deployment) -> None:
    for name in SCHEDULES:
        assert deployment.client.post(f"/api/v1/schedules/{name}/start").json()["status"] == "RUNNING"
    assert deployment.client.post(f"/api/v1/sensors/{SENSOR}/start").json()["status"] == "RUNNING"


def runs_by(deployment, tag: str, name: str) -> list[dict]:
    answer = deployment.client.get("/api/v1/runs", params={"tag": f"{tag}={name}"}).raise_for_status()
    items: list[dict] = answer.json()["items"]
    return items


def sensor_waits_for_the_file_and_starts_one_run(deployment, file: Path) -> None:
    deployment.wait_until(
        lambda: bool(ticks_of(deployment, "sensors", SENSOR, "SKIPPED")), BY_THE_FILE_SECONDS, "a tick without the file"
    )
    assert ticks_of(deployment, "sensors", SENSOR, "SKIPPED")[0]["skip_reason"] == "check file not exists"
    assert runs_by(deployment, "orchord/sensor_name", SENSOR) == []
    file.touch()
    deployment.wait_until(
        lambda: bool(ticks_of(deployment, "sensors", SENSOR, "SUCCESS")), BY_THE_FILE_SECONDS, "a tick with the file"
    )
    (tick,) = ticks_of(deployment, "sensors", SENSOR, "SUCCESS")
    run = deployment.wait(*tick["run_ids"])
    assert (run["status"], run["job"], run["run_key"]) == ("SUCCESS", "process_numbers", "check_file_exists")
    assert run["tags"]["orchord/sensor_name"] == SENSOR
    assert run["tags"]["orchord/tick"] == str(tick["tick_id"])

    def later() -> list[dict]:
        page = deployment.client.get(f"/api/v1/sensors/{SENSOR}/ticks").json()["items"]
        return [one for one in page if one["tick_id"] > tick["tick_id"] and one["ended_at"] is not None]

    deployment.wait_until(lambda: len(later()) >= 2, BY_THE_FILE_SECONDS, "further ticks with the file")
    assert all(one["run_ids"] == [] and one["error"] is None for one in later())
    assert later()[0]["deduplicated"] == ["check_file_exists"]
    assert [one["run_id"] for one in runs_by(deployment, "orchord/sensor_name", SENSOR)] == [run["run_id"]]


def schedules_start_a_run_each_by_the_minute(deployment) -> None:
    for name, job in SCHEDULES.items():
        deployment.wait_until(
            lambda name=name: bool(ticks_of(deployment, "schedules", name, "SUCCESS")),
            BY_THE_MINUTE_SECONDS,
            f"a tick of {name}",
        )
        tick = ticks_of(deployment, "schedules", name, "SUCCESS")[-1]
        assert tick["planned_at"][17:19] == "00"
        run = deployment.wait(*tick["run_ids"])
        assert (run["status"], run["job"]) == ("SUCCESS", job)
        assert run["tags"]["orchord/schedule_name"] == name
        assert run["tags"]["orchord/scheduled_execution_time"][:16] == tick["planned_at"][:16]
        ticks = deployment.client.get(f"/api/v1/schedules/{name}/ticks").json()["items"]
        assert len({one["planned_at"] for one in ticks}) == len(ticks)
        assert ticks_of(deployment, "schedules", name, "FAILURE") == []


@pytest.mark.timeout(240)
def test_schedules_by_the_minute_and_a_sensor_on_a_file_start_runs_that_the_tick_history_names(
    file: Path, deployment
) -> None:
    deployment.start_all(NUMBERS)
    turn_on(deployment)
    sensor_waits_for_the_file_and_starts_one_run(deployment, file)
    schedules_start_a_run_each_by_the_minute(deployment)
    listed = json.loads(deployment.orchord("schedule", "ticks", "process_numbers_schedule", "--json").stdout)
    assert any(tick["run_ids"] for tick in listed)


@pytest.mark.timeout(240)
def test_one_command_runs_schedules_by_the_minute_and_a_sensor_on_a_file(file: Path, deploy) -> None:
    deployment = deploy(broker=None)
    deployment.start("dev", "dev", "-f", NUMBERS, "--port", str(deployment.port), "--no-reload")
    deployment.wait_until(deployment.is_ready, 60, "orchord dev to be ready")
    for kind, names in (("schedule", list(SCHEDULES)), ("sensor", [SENSOR])):
        for name in names:
            assert deployment.orchord(kind, "start", name).returncode == 0
    sensor_waits_for_the_file_and_starts_one_run(deployment, file)
    schedules_start_a_run_each_by_the_minute(deployment)


@pytest.mark.timeout(120)
def test_a_dry_run_asks_for_runs_and_starts_none(file: Path, deployment) -> None:
    deployment.start_all(NUMBERS)
    deployment.wait_until(
        lambda: all(check["is_ok"] for check in deployment.client.get("/readyz").json()["checks"]), 30, "tick workers"
    )
    tried = deployment.client.post("/api/v1/schedules/process_numbers_schedule/dry-run").raise_for_status().json()
    assert (tried["status"], [request["job_name"] for request in tried["requests"]]) == ("SUCCESS", ["process_numbers"])
    tried = deployment.client.post(f"/api/v1/sensors/{SENSOR}/dry-run").raise_for_status().json()
    assert (tried["status"], tried["skip_reason"]) == ("SKIPPED", "check file not exists")
    file.touch()
    tried = deployment.client.post(f"/api/v1/sensors/{SENSOR}/dry-run").raise_for_status().json()
    assert [request["run_key"] for request in tried["requests"]] == ["check_file_exists"]
    assert deployment.client.get("/api/v1/runs").json()["items"] == []
    assert deployment.client.get("/api/v1/ticks").json()["items"] == []


PUSHED = """
import orchord as dg

@dg.op(config_schema={"file": str})
def load(context):
    return context.op_config["file"]

@dg.job
def load_file():
    load()

@dg.sensor(job=load_file, minimum_interval_seconds=3600, default_status=dg.DefaultSensorStatus.RUNNING)
def arrivals(context):
    if context.payload is None:
        return dg.SkipReason("nothing was pushed")
    seen = int(context.cursor or 0) + 1
    context.update_cursor(str(seen))
    config = {"ops": {"load": {"config": {"file": context.payload["file"]}}}}
    return dg.RunRequest(run_config=config, tags={"number": str(seen)})

defs = dg.Definitions(jobs=[load_file], sensors=[arrivals])
"""


@pytest.mark.timeout(120)
def test_what_is_pushed_to_a_sensor_becomes_a_run_in_the_order_of_the_pushes(tmp_path: Path, deployment) -> None:
    code = tmp_path / "pushed.py"
    code.write_text(PUSHED)
    deployment.start_all(str(code))
    ids = []
    for number in range(5):
        answer = deployment.client.post("/api/v1/sensors/arrivals/tick", json={"file": f"{number}.csv"})
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["tick_id"])

    def ended() -> list[dict]:
        return [
            tick
            for tick in deployment.client.get("/api/v1/sensors/arrivals/ticks").json()["items"]
            if tick["tick_id"] in ids and tick["ended_at"] is not None
        ]

    deployment.wait_until(lambda: bool(ended()), 30, "a push to be evaluated")
    tried = deployment.orchord(
        "sensor", "preview", "arrivals", "--payload", '{"file": "x"}', "--cursor", "41", "--json"
    )
    assert json.loads(tried.stdout)["requests"][0]["tags"] == {"number": "42"}
    deployment.wait_until(lambda: len(ended()) == 5, 30, "all pushes to be evaluated")
    assert [tick["cursor"] for tick in sorted(ended(), key=lambda tick: tick["tick_id"])] == ["1", "2", "3", "4", "5"]
    for tick in ended():
        run = deployment.wait(*tick["run_ids"])
        assert run["status"] == "SUCCESS"
        assert run["run_config"]["ops"]["load"]["config"] == tick["payload"]
        assert run["tags"]["number"] == tick["cursor"]
