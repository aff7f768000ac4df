"""Whoever follows task events, as Flower does, sees every step as a task of its own, under its own name."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from orchord.instance.sections import CelerySettings
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
    app = make_app(CelerySettings(broker=valkey_url))
    seen: dict[str, str] = {}
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(
            connection, handlers={"task-received": lambda event: seen.update({event["uuid"]: event["name"]})}
        )
        listener = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        listener.start()
        app.control.enable_events()

        def runs_and_is_seen() -> bool:
            # The worker notices a watcher with its next heartbeat: until then it may carry steps on unseen.
            answer = deployment.client.post(
                "/api/v1/runs", params={"wait_seconds": 30}, json={"job": "process_numbers"}
            )
            run_id = answer.json()["run_id"]
            expected = {f"{run_id}.{name.split('.')[1]}.1": name for name in STEPS}
            return eventually_seen(expected)

        def eventually_seen(expected: dict[str, str]) -> bool:
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                if expected.items() <= seen.items():
                    return True
                threading.Event().wait(0.05)
            return False

        try:
            deployment.wait_until(runs_and_is_seen, 30, "every step to be seen")
        finally:
            receiver.should_stop = True
            listener.join(10)
            close_app(app)
