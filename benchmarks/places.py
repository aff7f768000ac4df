"""Steps in Docker containers: what each costs beside `docker run` of the same, and what waiting for them costs.

`python benchmarks/places.py [--count 10]`. Needs a Docker Engine and a base image python:3.11-slim. The same
is: `orchord step execute` of a step of the same job, by hand, in the same image, on the same database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
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
        """Return the seconds from the launch of a run of one step to its end."""
        began = time.perf_counter()
        run = self.instance.wait(self.launch("one_step"), 120)
        assert run.status.value == "SUCCESS", run
        return time.perf_counter() - began

    def by_docker_run(self, run_id: str) -> float:
        """Return the seconds that `docker run` of one step takes."""
        volumes = [part for volume in self.volumes for part in ("-v", volume)]
        step = ["orchord", "step", "execute", run_id, "adds", "--attempt", "1", "-f", str(CODE)]
        home = ["-e", f"ORCHORD_HOME={self.home}"]
        began = time.perf_counter()
        subprocess.run(["docker", "run", "--rm", "--network", "host", *home, *volumes, IMAGE, *step], check=True)
        seconds = time.perf_counter() - began
        assert self.instance.storage.runs.get(run_id).status.value == "SUCCESS"
        return seconds


def processor_seconds(process_id: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(bench: Bench, stack: contextlib.ExitStack, count: int, table: Table) -> None:
    """Measure both sides, then the launcher worker's threads and processor time."""
    worker = [bench.orchord, "worker", "-f", str(CODE), "--concurrency", "1", "--log-level", "warning"]
    stack.enter_context(background(worker, bench.folder / "worker.log", bench.environment))
    wait_for(lambda: bench.instance.storage.locations.find("place_shapes"), "the location", logs=bench.folder)
    # Nobody starts containers yet: these steps are executed by hand.
    waiting = [bench.launch("one_step") for _ in range(count + 1)]
    plain = [bench.by_docker_run(run_id) for run_id in waiting][1:]
    launcher = [bench.orchord, "launcher", "--place", "docker", "--log-level", "warning"]
    process = stack.enter_context(background(launcher, bench.folder / "launcher.log", bench.environment))
    ours = [bench.by_orchord() for _ in range(count + 1)][1:]
    ratio = statistics.median(ours) / statistics.median(plain)
    table.add_row("`docker run` of one step", f"{statistics.median(plain):.3f} s", "")
    table.add_row("docker_executor, launch to end", f"{statistics.median(ours):.3f} s", "")
    table.add_row("ratio", f"{ratio:.2f}", "<= 1.15")
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
    parser.add_argument("--count", type=int, default=10, help="How many runs of each side.")
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
