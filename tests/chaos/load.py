"""The load: runs launched over REST by clients that repeat a request, with its key, until it is answered.

What the runs must come to is prediction.py.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import shapes
from stack import Stack

PATIENCE_SECONDS = 90.0
CANCELED_SHARE = 0.05
ASSET_SHARE = 0.07


@dataclass
class Launched:
    """One run as the client knows it. ``attempts``: how many requests it took; ``created``: how many answered 201."""

    key: str
    job: str
    run_id: str = ""
    attempts: int = 0
    created: int = 0
    is_canceled: bool = False
    refusals: list[str] = field(default_factory=list)


def jobs_of(seed: int, count: int) -> list[str]:
    """Return which jobs a seed launches: every family in turn, a few to be canceled, a few of assets."""
    rng = random.Random(f"load.{seed}")
    names = sorted(shapes.JOBS)
    rng.shuffle(names)
    chosen = []
    for number in range(count):
        roll = rng.random()
        if roll < CANCELED_SHARE:
            chosen.append("to_be_canceled")
        elif roll < CANCELED_SHARE + ASSET_SHARE:
            chosen.append("materialize_numbers")
        else:
            chosen.append(names[number % len(names)])
    return chosen


class Load:
    """Launches the runs of a seed, spread over a time.

    Args:
        seconds: over how long the launches are spread.
    """

    def __init__(self, stack: Stack, seed: int, count: int, seconds: float) -> None:
        self.stack, self.seconds = stack, seconds
        self.runs = [Launched(f"chaos-{seed}-{number}", job) for number, job in enumerate(jobs_of(seed, count))]
        self._rng = random.Random(f"pace.{seed}")
        self.is_over = threading.Event()

    def run(self) -> None:
        """Launch all, and cancel those that are to be canceled; return when every request was answered."""
        pause = self.seconds / max(1, len(self.runs))
        with ThreadPoolExecutor(8) as pool:
            futures = []
            for launched in self.runs:
                futures.append(pool.submit(self._bring_in, launched))
                self.is_over.wait(self._rng.uniform(0, 2 * pause))
            for future in futures:
                future.result()

    def _bring_in(self, launched: Launched) -> None:
        body = {"job": launched.job, "tags": {"chaos": launched.key}}
        headers = {"Idempotency-Key": launched.key}
        answer = self._insist(launched, "/api/v1/runs", body, headers)
        if answer is None:
            return
        launched.run_id = answer["run_id"]
        if launched.job == "to_be_canceled":
            self.is_over.wait(self._rng.uniform(0, 3))
            launched.is_canceled = (
                self._insist(launched, f"/api/v1/runs/{launched.run_id}/cancel", None, {}) is not None
            )

    def _insist(self, launched: Launched, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any] | None:
        deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.2
        while time.monotonic() < deadline:
            launched.attempts += 1
            try:
                response = self.stack.client.post(path, json=body, headers=headers)
            except httpx.TransportError as error:
                launched.refusals.append(type(error).__name__)
            else:
                if response.status_code in (200, 201):
                    launched.created += response.status_code == 201
                    answer: dict[str, Any] = response.json()
                    return answer
                launched.refusals.append(f"{response.status_code} {response.text[:300]}")
                if response.status_code == 409 and path.endswith("/cancel"):
                    # The cancel whose answer was lost stands already.
                    return {}
                if response.status_code < 500:
                    return None
            self.is_over.wait(pause)
            pause = min(pause * 1.5, 2.0)
        return None
