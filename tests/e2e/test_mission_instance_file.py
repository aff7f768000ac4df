"""The mission document's instance file, byte for byte, against a real Postgres under the name and port that it gives.

Its launcher and its object store are named as they are; that the former's Job carries what the file says is tried in
the tests of Kubernetes.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from orchord.embedded.postgres import start_postgres

JOBS = str(Path(__file__).parent / "instance_file_jobs.py")

# The mission document's File 1, byte for byte.
INSTANCE_FILE = (Path(__file__).parents[1] / "mission" / "instance_file.yaml").read_text()

# The file names port 5432, which is taken often enough: an address of this machine that is this process's alone.
ADDRESS = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
PASSWORD = "p@ss: wörd/1"


@pytest.fixture
def postgres_of_the_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Postgres that answers at the host, port, user, password and database of the file."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, 5432))
        except OSError as error:
            pytest.skip(f"needs {ADDRESS}:5432 for a Postgres: {error.strerror}")
    with tempfile.TemporaryDirectory(prefix="orchord-file-") as folder:
        # Postgres does not run as root, and must be able to enter.
        Path(folder).chmod(0o755)
        with start_postgres(Path(folder) / "server", host=ADDRESS, port=5432) as url:
            connection = psycopg2.connect(url.replace("+psycopg2", ""))
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE dagster")
                cursor.execute("ALTER USER postgres PASSWORD %s", (PASSWORD,))
                rules = Path(folder) / "server" / "data" / "pg_hba.conf"
                rules.write_text("host all all 127.0.0.0/8 scram-sha-256\n")
                cursor.execute("SELECT pg_reload_conf()")
            connection.close()
            # How libpq is told where a host name leads; the names in the file stay as they are.
            monkeypatch.setenv("PGHOSTADDR", ADDRESS)
            monkeypatch.setenv("DAGSTER_PG_PASSWORD", PASSWORD)
            yield


@pytest.mark.timeout(120)
def test_the_file_opens_migrates_and_is_described_unchanged(postgres_of_the_file: None, deploy) -> None:
    deployment = deploy(broker=None)
    (deployment.home / "orchord.yaml").write_bytes(INSTANCE_FILE.encode())
    migrated = deployment.orchord("instance", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert "postgresql.postgresql:5432/dagster is up to date." in migrated.stdout

    info = deployment.orchord("instance", "info", "--json")
    facts = json.loads(info.stdout)
    assert facts["storage"] == "postgresql://postgresql.postgresql:5432/dagster"
    assert (facts["run_launcher"], facts["run_coordinator"]) == ("K8sRunLauncher", "QueuedRunCoordinator")
    assert facts["compute_logs"] == "S3ComputeLogManager"
    assert set(facts["problems"]) <= {"broker"}
    assert facts["runs"] == {}
    told = {line.partition(":")[0] for line in facts["without_effect"]}
    assert told == {
        "run_monitoring.free_slots_after_run_end_seconds",
        "run_monitoring.max_resume_run_attempts",
        "run_monitoring.poll_interval_seconds",
        "sensors.use_threads",
        "schedules.use_threads",
        "telemetry",
    }
    assert "without effect    telemetry: nothing is ever sent" in deployment.orchord("instance", "info").stdout


@pytest.mark.timeout(180)
def test_its_coordinator_its_retries_and_its_monitoring_act(
    valkey_url: str, postgres_of_the_file: None, deploy
) -> None:
    deployment = deploy(broker=None)
    # The file names no broker, as Dagster needs none.
    text = f"{INSTANCE_FILE}\ncelery: {{broker: '{valkey_url}'}}\n"
    (deployment.home / "orchord.yaml").write_text(text)
    deployment.start_all(JOBS)

    run = deployment.wait(deployment.launch("goes_well")["run_id"])
    assert run["status"] == "SUCCESS", deployment.logs()
    assert [kind for kind in kinds_of(deployment, run) if kind.startswith("RUN_")] == [
        "RUN_ENQUEUED",
        "RUN_DEQUEUED",
        "RUN_STARTING",
        "RUN_START",
        "RUN_SUCCESS",
    ]

    failed = deployment.wait(deployment.launch("goes_well_again", tags={"dagster/max_retries": "1"})["run_id"])
    assert failed["status"] == "FAILURE"
    deployment.wait_until(lambda: retry_of(deployment, failed) is not None, 30, "the run to be retried")
    retried = deployment.wait(retry_of(deployment, failed))
    assert retried["status"] == "SUCCESS", deployment.logs()
    assert retried["parent_run_id"] == failed["run_id"]

    deployment.kill("daemon")
    deployment.kill("worker0")
    sooner = text.replace("start_timeout_seconds: 300", "start_timeout_seconds: 2")
    (deployment.home / "orchord.yaml").write_text(sooner)
    deployment.start("daemon", "daemon")
    stuck = deployment.wait(deployment.launch("goes_well")["run_id"])
    assert stuck["status"] == "FAILURE"
    assert "has not started in 2 s (run_monitoring: start_timeout_seconds)" in stuck["error"]["message"]


def kinds_of(deployment, run: dict) -> list[str]:
    events = deployment.client.get(f"/api/v1/runs/{run['run_id']}/events").raise_for_status().json()
    return [event["type"] for event in events["items"]]


def retry_of(deployment, run: dict) -> str | None:
    runs = deployment.client.get("/api/v1/runs").raise_for_status().json()["items"]
    return next((found["run_id"] for found in runs if found["parent_run_id"] == run["run_id"]), None)
