"""Steps in Docker containers: what each costs beside `docker run` of the same, and what waiting for them costs.

`python benchmarks/places.py [--count 10]`. Needs a Docker Engine and a base image python:3.11-slim. Every side ends
when whoever asked for the work knows that it is done, and the sides take turns. What is required is required over
plain Python: the same image imports the same module and runs the op in process, without a database. Beside it stands
`orchord step execute` by hand, in which what the container does for a stored step is on both sides.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import docker
from measures import Samples
from place_shapes import CHAIN
from rich.console import Console
from rich.table import Table
from stacks import HERE, background, wait_for

from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey
from orchord.instance import OrchordInstance
from orchord.instance.launch import LaunchRequest
from orchord.settings import Settings

ROOT = HERE.parent
IMAGE = "orchord-bench"
CODE = HERE / "place_shapes.py"
TICKS = os.sysconf("SC_CLK_TCK")


class Bench:
    """One instance, without workers at first."""

    def __init__(self, folder: Path, broker: str, database: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "orchord.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: '{database}'}}}}\n"
            f"celery: {{broker: '{broker}', result_backend: '{broker}'}}\n"
            f"local_artifact_storage: {{base_dir: '{folder}/artifacts'}}\n"
        )
        self.environment = {"ORCHORD_HOME": str(self.home)}
        self.orchord = str(Path(sys.executable).parent / "orchord")
        self.volumes = [f"{folder}:{folder}", f"{HERE}:{HERE}:ro"]
        subprocess.run([self.orchord, "instance", "migrate"], env={**os.environ, **self.environment}, check=True)
        self.instance = OrchordInstance.from_home(Settings(self.home, home_is_given=True))

    def launch(self, job: str, **executor: Any) -> str:
        settings = {"image": IMAGE, "container_kwargs": {"network_mode": "host", "volumes": self.volumes}, **executor}
        request = LaunchRequest(job_name=job, run_config={"execution": {"config": settings}})
        return self.instance.launch(request)[0].run_id

    def by_orchord(self) -> float:
        """Return the seconds from the launch of the chain until a client that waits is told of its end."""
        began = time.perf_counter()
        run = self.instance.wait(self.launch("short_chain"), 120)
        seconds = time.perf_counter() - began
        assert run.status.value == "SUCCESS", run
        return seconds

    def by_python(self) -> float:
        """Return the seconds that as many `docker run`s of the op take, by Python alone."""
        code = "from place_shapes import one_step; assert one_step.execute_in_process().success"
        return sum(self._docker_run(["python", "-c", code]) for _ in CHAIN)

    def by_hand(self, launcher: int) -> float:
        """Return the seconds that `docker run` of each step of the chain takes, with the launcher worker held still."""
        os.kill(launcher, signal.SIGSTOP)
        try:
            run_id = self.launch("short_chain")
            step = ["orchord", "step", "execute", run_id]
            seconds = sum(self._docker_run([*step, name, "--attempt", "1", "-f", str(CODE)]) for name in CHAIN)
            assert self.instance.storage.runs.get(run_id).status.value == "SUCCESS"
        finally:
            os.kill(launcher, signal.SIGCONT)
        # It now throws away the messages of these steps; that is no other side's time.
        time.sleep(1)
        return seconds

    def _docker_run(self, command: list[str]) -> float:
        """Return the seconds until `docker run` returns. The container is removed untimed, as Orchord's are."""
        name = f"{IMAGE}-{uuid.uuid4().hex[:12]}"
        volumes = [part for volume in self.volumes for part in ("-v", volume)]
        places = ["--network", "host", "-w", str(HERE), "-e", f"ORCHORD_HOME={self.home}", *volumes]
        began = time.perf_counter()
        subprocess.run(["docker", "run", "--name", name, *places, IMAGE, *command], check=True)
        seconds = time.perf_counter() - began
        subprocess.run(["docker", "rm", name], check=True, stdout=subprocess.DEVNULL)
        return seconds


def processor_seconds(process_id: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(bench: Bench, stack: contextlib.ExitStack, count: int, table: Table) -> None:
    """Start a worker and a launcher worker, and measure."""
    worker = [bench.orchord, "worker", "-f", str(CODE), "--concurrency", "1", "--log-level", "warning"]
    stack.enter_context(background(worker, bench.folder / "worker.log", bench.environment))
    wait_for(lambda: bench.instance.storage.locations.find("place_shapes"), "the location", logs=bench.folder)
    launcher = [bench.orchord, "launcher", "--place", "docker", "--log-level", "warning"]
    process = stack.enter_context(background(launcher, bench.folder / "launcher.log", bench.environment))
    compare(bench, process, count, table)
    attend(bench, process, table)


def compare(bench: Bench, launcher: int, count: int, table: Table) -> None:
    """Time a chain of steps by Orchord, by plain Python and by hand, in turn, and show what one step costs."""
    sides = {
        "`docker run` of the op, plain Python": bench.by_python,
        "`docker run` of `orchord step execute`": lambda: bench.by_hand(launcher),
        "docker_executor": bench.by_orchord,
    }
    # The first round warms up.
    rounds = [{name: side() / len(CHAIN) for name, side in sides.items()} for _ in range(count + 1)][1:]
    found = {name: Samples(tuple(one[name] for one in rounds)) for name in sides}
    for name, samples in found.items():
        table.add_row(f"{name}, a step", f"{samples.median:.3f} s (p95 {samples.p95:.3f})", "")
    python, hand, ours = (samples.median for samples in found.values())
    table.add_row("docker_executor / plain Python", f"{ours / python:.2f}", "<= 1.15")
    table.add_row("docker_executor / `orchord step execute`", f"{ours / hand:.2f}", "")


def attend(bench: Bench, process: int, table: Table) -> None:
    """Measure the launcher worker's threads and processor time."""
    threads = [0]

    def looked() -> None:
        threads[0] = max(threads[0], len(os.listdir(f"/proc/{process}/task")))

    run_id, began, used = (
        bench.launch("hundred_nap", max_concurrent=20),
        time.perf_counter(),
        processor_seconds(process),
    )
    with bench.instance.watch(run_id) as watch:
        while not watch.wait(0.1):
            looked()
    took, spent = time.perf_counter() - began, processor_seconds(process) - used
    assert bench.instance.storage.runs.get(run_id).status.value == "SUCCESS"
    table.add_row("100 steps, 20 at once", f"{took:.1f} s ({spent / 100 * 1000:.0f} ms of the launcher each)", "")
    engine = docker.from_env()
    run_id = bench.launch("twenty_wait")
    wanted = {"label": [f"orchord/run_id={run_id}"], "status": ["running"]}
    wait_for(lambda: len(engine.api.containers(filters=wanted)) == 20, "twenty containers", logs=bench.folder)
    time.sleep(2)
    used = processor_seconds(process)
    time.sleep(10)
    share = (processor_seconds(process) - used) / 10
    looked()
    table.add_row("launcher's threads at most", str(threads[0]), "<= 10")
    table.add_row("launcher's processor while 20 run", f"{share:.1%}", "< 5 %")
    bench.instance.wait(run_id, 120)


def main() -> None:
    """Build the image, start what is needed, measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="How many chains of each side.")
    count = parser.parse_args().count
    build = ["docker", "build", "-q", "-f", str(ROOT / "compose" / "Dockerfile"), "-t", IMAGE, str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    table = Table("measure", "value", "required")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchord-places-")))
        broker = stack.enter_context(start_valkey())
        database = stack.enter_context(start_postgres())
        bench = Bench(folder, broker, database)
        stack.callback(bench.instance.dispose)
        measure(bench, stack, count, table)
    Console().print(table)


if __name__ == "__main__":
    main()
