"""Whoever follows task events, as Flower does, sees every step as a task of its own, under its own name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from orchord_workers.app import close_app, make_app

NUMBERS = str(Path(__file__).parents[2] / "examples" / "numbers" / "definitions.py")
STEPS = {
    f"process_numbers.{step}"
    for step in (
        "generate_numbers",
        "filter_even_numbers",
        "filter_odd_numbers",
        "sum_even_numbers",
        "sum_odd_numbers",
        "sum_two_sums",
    )
}


@pytest.mark.timeout(120)
def test_a_watcher_sees_every_step_as_a_task_with_a_readable_name_and_id(valkey_url: str, deploy) -> None:
    deployment = deploy(broker=valkey_url)
    deployment.start_all(NUMBERS)
    app = make_app({"broker": valkey_url})
    seen: dict[str, str] = {}
    try:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(
                connection, handlers={"task-received": lambda event: seen.update({event["uuid"]: event["name"]})}
            )
            app.control.enable_events()

            def run_and_listen() -> bool:
                # The worker notices a watcher with its next heartbeat: until then it may carry steps on unseen.
                seen.clear()
                answer = deployment.client.post(
                    "/api/v1/runs", params={"wait_seconds": 30}, json={"job": "process_numbers"}
                )
                run_id = answer.json()["run_id"]
                with contextlib.suppress(TimeoutError):
                    receiver.capture(limit=len(STEPS) + 50, timeout=1, wakeup=False)
                return {f"{run_id}.{name.split('.')[1]}.1": name for name in STEPS} == {
                    uuid: name for uuid, name in seen.items() if uuid.startswith(run_id)
                }

            deployment.wait_until(run_and_listen, 30, f"every step to be seen; seen were {seen}")
    finally:
        close_app(app)
