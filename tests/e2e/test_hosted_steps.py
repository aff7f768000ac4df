"""`orchord step execute` and `orchord run execute` as plain processes: what a container does, without a container."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchord.instance import OrchordInstance
from orchord.plan.gates import RunGate
from orchord.runs import Attempt, AttemptStatus
from orchord.settings import Settings
from orchord.storage import Claim

USER_CODE = "hosted_jobs.py"
HERE = Path(__file__).parent

pytestmark = pytest.mark.timeout(120)


class Launches:
    """Does by hand what a launcher worker does: reserves attempts, and starts processes that take them over."""

    def __init__(self, deployment: Any) -> None:
        self.deployment = deployment
        self.instance = OrchordInstance.from_home(Settings(deployment.home, home_is_given=True))
        self.started: list[subprocess.Popen[bytes]] = []

    def reserve(self, run_id: str, step: str, attempt: int = 1) -> str:
        token = secrets.token_hex(8)
        claim = Claim(run_id, step, attempt, token, "launcher", datetime.now(UTC))
        assert self.instance.storage.launches.reserve(claim).claimed
        return token

    def start(
        self, *arguments: str, token: str = "", name: str = "", before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        environment = {**self.deployment.environment(), "ORCHORD_LAUNCH_TOKEN": token, "ORCHORD_CONTAINER_NAME": name}
        with (self.deployment.home / "hosted.log").open("ab") as log:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", "orchord.cli.main", *arguments, "-f", USER_CODE, "--log-level", "info"],
                env=environment, cwd=HERE, stdout=log, stderr=log,
            )  # fmt: skip
        self.started.append(process)
        return process

    def step(
        self, run_id: str, step: str, token: str = "", attempt: int = 1, name: str = ""
    ) -> subprocess.Popen[bytes]:
        arguments = ("step", "execute", run_id, step, "--attempt", str(attempt))
        return self.start(*arguments, token=token, name=name or f"container-{step}-{attempt}")

    def attempts(self, run_id: str) -> list[Attempt]:
        return self.instance.storage.attempts.of_run(run_id)

    def statuses(self, run_id: str) -> list[tuple[str, AttemptStatus]]:
        return [(attempt.step_key, attempt.status) for attempt in self.attempts(run_id)]

    def wait_taken(self, run_id: str, worker_id: str) -> Attempt:
        """Wait until a container of this name runs an attempt, in its user's code."""

        def held() -> list[Attempt]:
            return [one for one in self.attempts(run_id) if one.worker_id == worker_id]

        self.deployment.wait_until(lambda: bool(held()), 30, f"{worker_id} to take its attempt over")
        return held()[0]

    def child_of(self, process: subprocess.Popen[bytes]) -> int:
        return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])

    def is_in_user_code(self, run_id: str, step: str) -> bool:
        return any(one.step_key == step and one.worker_id.startswith("container") for one in self.attempts(run_id))

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.instance.dispose()


@pytest.fixture
def launches(deployment: Any) -> Iterator[Launches]:
    """A deployment whose only worker publishes the location and takes no step of it."""
    made = started(deployment)
    yield made
    made.close()


@pytest.fixture
def launches_on_postgres(valkey_url: str, postgres_url: str, deploy: Any) -> Iterator[Launches]:
    """The same on PostgreSQL: containers see no file of SQLite's."""
    made = started(deploy(broker=valkey_url, database=postgres_url))
    yield made
    made.close()


def started(deployment: Any) -> Launches:
    assert deployment.orchord("instance", "migrate").returncode == 0
    deployment.start("api", "api", "--port", str(deployment.port), "--log-level", "warning")
    deployment.start("daemon", "daemon")
    deployment.start("worker", "worker", "-f", USER_CODE, "--queue", "other")
    deployment.wait_until(deployment.is_ready, 40, "the deployment to be ready")
    return Launches(deployment)


@pytest.fixture
def group_of_256_mib() -> Iterator[Path]:
    """A control group with a memory limit, as a container's."""
    root, limit = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
    if not root.is_dir():
        root, limit = Path("/sys/fs/cgroup"), "memory.max"
    group = root / f"orchord-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
        (group / limit).write_text(str(256 << 20))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no control group with a memory limit can be made here: {error}")
    yield group
    group.rmdir()


def ended(process: subprocess.Popen[bytes], seconds: float = 40) -> int:
    return process.wait(seconds)


def a_while(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_step_is_taken_over_executed_and_what_follows_is_due(launches: Launches) -> None:
    run_id = launches.deployment.launch("chain")["run_id"]
    token = launches.reserve(run_id, "one")
    assert ended(launches.step(run_id, "one", token)) == 0, launches.deployment.logs()
    (attempt,) = launches.attempts(run_id)
    assert (attempt.status, attempt.worker_id, attempt.outputs) == (
        AttemptStatus.SUCCESS, "container-one-1", ("result",),
    )  # fmt: skip
    assert attempt.token != token
    printed = launches.instance.compute_log_manager.read(run_id, "one", 1, "stdout", 0, 1000)
    assert b"printed by one" in printed.data
    assert ended(launches.step(run_id, "two", launches.reserve(run_id, "two"))) == 0
    assert launches.deployment.run(run_id)["status"] == "SUCCESS"


def test_a_second_and_a_late_container_do_nothing_and_exit_0(launches: Launches) -> None:
    run_id = launches.deployment.launch("chain")["run_id"]
    token = launches.reserve(run_id, "one")
    both = [launches.step(run_id, "one", token, name=f"container-{n}") for n in range(2)]
    assert [ended(process) for process in both] == [0, 0]
    assert launches.statuses(run_id) == [("one", AttemptStatus.SUCCESS)]
    assert ended(launches.step(run_id, "one", token)) == 0
    assert ended(launches.step(run_id, "one", "some-other-token")) == 0
    successes = [e for e in launches.instance.storage.events.page(run_id, limit=1000) if e.event.type == "STEP_SUCCESS"]
    assert len(successes) == 1


def test_a_step_without_a_launch_is_claimed_as_a_worker_does(launches: Launches) -> None:
    run_id = launches.deployment.launch("chain")["run_id"]
    assert ended(launches.step(run_id, "two")) == 2
    assert launches.attempts(run_id) == []
    assert ended(launches.step(run_id, "one")) == 0
    assert launches.statuses(run_id) == [("one", AttemptStatus.SUCCESS)]


def test_a_step_that_was_killed_is_lost_and_counts(launches: Launches) -> None:
    run_id = launches.deployment.launch("waiting_job")["run_id"]
    process = launches.step(run_id, "waits", launches.reserve(run_id, "waits"))
    launches.wait_taken(run_id, "container-waits-1")
    os.kill(launches.child_of(process), signal.SIGKILL)
    assert ended(process) == 0
    (attempt,) = launches.attempts(run_id)
    assert attempt.status is AttemptStatus.LOST
    assert attempt.error is not None
    assert attempt.error.cls_name == "AttemptLost"


def test_a_crash_fails_the_step_by_its_signal_and_its_retry_policy_holds(launches: Launches) -> None:
    run_id = launches.deployment.launch("crashing_job")["run_id"]
    assert ended(launches.step(run_id, "crashes_at_first", launches.reserve(run_id, "crashes_at_first"))) == 0
    (attempt,) = launches.attempts(run_id)
    assert attempt.status is AttemptStatus.UP_FOR_RETRY
    assert attempt.error is not None
    assert "was ended by SIGSEGV before the step had ended" in attempt.error.message
    claim = Claim(run_id, "crashes_at_first", 2, "t2", "launcher", datetime.now(UTC), retry_number=1)
    assert launches.instance.storage.launches.reserve(claim).claimed
    assert ended(launches.step(run_id, "crashes_at_first", "t2", attempt=2)) == 0
    assert launches.deployment.run(run_id)["status"] == "SUCCESS"


def test_a_process_that_leaves_by_itself_fails_its_step_with_the_exit_code(launches: Launches) -> None:
    run_id = launches.deployment.launch("leaving_job")["run_id"]
    assert ended(launches.step(run_id, "leaves", launches.reserve(run_id, "leaves"))) == 0
    run = launches.deployment.run(run_id)
    assert run["status"] == "FAILURE"
    assert "exited with code 7" in run["steps"][0]["error"]["message"]


def test_a_step_that_the_kernel_kills_for_its_memory_fails_and_says_so(
    launches: Launches, group_of_256_mib: Path
) -> None:
    run_id = launches.deployment.launch("eating_job")["run_id"]
    token = launches.reserve(run_id, "eats_memory")
    enter = ("sh", "-c", f'echo $$ > {group_of_256_mib / "cgroup.procs"}; exec "$@"', "sh")
    process = launches.start(
        "step", "execute", run_id, "eats_memory", "--attempt", "1", token=token, name="box", before=enter
    )
    assert ended(process, 60) == 0, launches.deployment.logs()
    run = launches.deployment.run(run_id)
    assert run["status"] == "FAILURE"
    assert "was killed by the kernel for its memory (limit 256 MiB)" in run["steps"][0]["error"]["message"]


def test_sigterm_has_the_step_run_again_elsewhere_and_does_not_count(launches: Launches) -> None:
    run_id = launches.deployment.launch("waiting_job")["run_id"]
    process = launches.step(run_id, "waits", launches.reserve(run_id, "waits"))
    launches.wait_taken(run_id, "container-waits-1")
    a_while(1.0)
    process.terminate()
    assert ended(process, 15) == 0
    (attempt,) = launches.attempts(run_id)
    assert attempt.status is AttemptStatus.LOST
    assert attempt.error is not None
    assert attempt.error.cls_name == "WorkerStopped"


@pytest.mark.parametrize("job", ["waiting_job", "stuck_job"])
def test_cancel_stops_a_step_also_one_that_holds_the_interpreters_lock(launches: Launches, job: str) -> None:
    run_id = launches.deployment.launch(job)["run_id"]
    step = "waits" if job == "waiting_job" else "stuck_in_c"
    process = launches.step(run_id, step, launches.reserve(run_id, step))
    launches.wait_taken(run_id, f"container-{step}-1")
    a_while(1.0)
    launches.deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert ended(process, 40) == 0, launches.deployment.logs()
    assert launches.deployment.wait(run_id)["status"] == "CANCELED"
    assert launches.statuses(run_id) == [(step, AttemptStatus.CANCELED)]


def test_a_step_in_c_past_its_time_limit_is_ended_and_its_limit_named(launches: Launches) -> None:
    run_id = launches.deployment.launch("too_long_job")["run_id"]
    assert ended(launches.step(run_id, "too_long", launches.reserve(run_id, "too_long")), 60) == 0
    run = launches.deployment.run(run_id)
    assert run["status"] == "FAILURE"
    assert "took longer than its time limit of 1 s" in run["steps"][0]["error"]["message"]


def test_code_that_cannot_be_loaded_fails_the_step_with_the_reason(launches: Launches) -> None:
    run_id = launches.deployment.launch("chain")["run_id"]
    token = launches.reserve(run_id, "one")
    process = launches.start("step", "execute", run_id, "one", "-a", "nothing_such", token=token, name="box")
    assert ended(process) == 0, launches.deployment.logs()
    error = launches.deployment.run(run_id)["steps"][0]["error"]
    assert error["cls_name"] == "CodeLocationLoadError"
    assert "nothing_such" in error["message"]


def test_a_container_that_begins_in_a_run_that_was_canceled_runs_nothing(launches: Launches) -> None:
    run_id = launches.deployment.launch("waiting_job")["run_id"]
    token = launches.reserve(run_id, "waits")
    launches.deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert ended(launches.step(run_id, "waits", token)) == 0
    assert launches.statuses(run_id) == [("waits", AttemptStatus.CANCELED)]
    assert launches.deployment.wait(run_id)["status"] == "CANCELED"


def test_the_end_of_a_step_calls_who_waits_for_its_runs_limit(launches_on_postgres: Launches) -> None:
    launches = launches_on_postgres
    run_id = launches.deployment.launch("one_at_a_time")["run_id"]
    gates = (RunGate(1),)
    token = launches.reserve(run_id, "one_0")
    store = launches.instance.storage
    for step in ("one_1", "one_2"):
        claim = Claim(run_id, step, 1, f"t-{step}", "launcher", datetime.now(UTC))
        assert not store.launches.reserve(claim, gates).claimed
    assert ended(launches.step(run_id, "one_0", token)) == 0, launches.deployment.logs()
    called = [one.step_key for one in store.pools.waiters_of_run(run_id) if one.called_at is not None]
    assert called == ["one_1"]


def test_a_whole_container_that_is_killed_counts_as_a_loss(launches: Launches) -> None:
    run_id = launches.deployment.launch("waiting_job")["run_id"]
    process = launches.step(run_id, "waits", launches.reserve(run_id, "waits"))
    launches.wait_taken(run_id, "container-waits-1")
    child = launches.child_of(process)
    process.kill()
    process.wait()
    launches.deployment.wait_until(lambda: not Path(f"/proc/{child}").exists(), 10, "the child to end with its parent")
    launches.deployment.wait_until(
        lambda: launches.attempts(run_id)[0].status is AttemptStatus.LOST, 40, "the monitor to find the loss"
    )
    error = launches.attempts(run_id)[0].error
    assert error is not None
    assert error.cls_name == "AttemptLost"


def test_a_run_in_one_process_goes_on_elsewhere_after_sigterm(launches: Launches, tmp_path: Path) -> None:
    config = {"ops": {"slow_once": {"config": {"marks": str(tmp_path)}}}}
    run_id = launches.deployment.launch("unit_job", run_config=config)["run_id"]
    first = launches.start("run", "execute", run_id, name="container-a")
    launches.deployment.wait_until(lambda: (tmp_path / "begun").exists(), 30, "the first step to run")
    first.terminate()
    assert ended(first, 15) == 0
    assert launches.statuses(run_id) == [("slow_once", AttemptStatus.LOST)]
    assert ended(launches.start("run", "execute", run_id, name="container-b")) == 0
    run = launches.deployment.wait(run_id)
    assert run["status"] == "SUCCESS", launches.deployment.logs()
    assert [len(step["attempts"]) for step in run["steps"]] == [2, 1]
