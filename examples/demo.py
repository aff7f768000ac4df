"""``make demo``: the numbers job, run as a Celery chord through the REST API of ``orchord dev``; prints its result.

Everything it starts ends with it; its state is a temporary folder.
"""

from __future__ import annotations

import pickle
import tempfile
import time
from pathlib import Path

import httpx
from dev_stack import DevStack


def main() -> None:
    """Start the stack, run the job twice (the first also warms it up), print, stop."""
    with tempfile.TemporaryDirectory(prefix="orchord-demo-") as folder:
        began = time.perf_counter()
        stack = DevStack(Path(folder) / "home", Path(folder) / "dev.log", "--port", "0")
        try:
            address = stack.wait_until_ready()
            print(f"Stack ready after {time.perf_counter() - began:.1f} s at {address}")
            with httpx.Client(base_url=f"{address}/api/v1", timeout=90, trust_env=False) as client:
                run_job(client)
                run_id, milliseconds = run_job(client)
                value = result_of(client, run_id, "sum_two_sums")
        finally:
            stack.stop()
    print(f"process_numbers = {value}")
    print(f"run {run_id}: six steps, from the HTTP request to the answer that it has ended, in {milliseconds:.0f} ms")
    if value != 55:
        raise SystemExit(f"The result should be 55, it is {value!r}")


def run_job(client: httpx.Client) -> tuple[str, float]:
    """Trigger one run and wait for its end; return its id and how long that took."""
    began = time.perf_counter()
    answer = client.post("/runs", params={"wait_seconds": 60}, json={"job": "process_numbers"})
    milliseconds = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    run = answer.json()
    if run["status"] != "SUCCESS":
        raise SystemExit(f"Run {run['run_id']} ended as {run['status']}: {run['error']}")
    return run["run_id"], milliseconds


def result_of(client: httpx.Client, run_id: str, step_key: str) -> object:
    """Read the value that a step stored: the IO manager notes the path of its file as metadata of the output."""
    steps = client.get(f"/runs/{run_id}").json()["steps"]
    step = next(step for step in steps if step["step_key"] == step_key)
    return pickle.loads(Path(step["outputs"][0]["metadata"]["path"]["value"]).read_bytes())


if __name__ == "__main__":
    main()
