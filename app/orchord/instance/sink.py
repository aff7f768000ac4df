"""Writing down a run whose steps follow each other in one process: claims, ends and skips, as for any other run.

One sink for every such process: a worker's pool child (orchord_workers.whole_run), the command (cli/executing.py) and
user code (recording.py). They differ in what they add around it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec

from orchord.events import utc_now
from orchord.execution import StepResult
from orchord.instance.live_events import LiveEvents
from orchord.plan.machine import SkipStep
from orchord.plan.model import Step
from orchord.runs import AttemptStatus, RunStatus
from orchord.storage import Claim, Finish, FinishResult, Skip, Storage

Answer = TypeVar("Answer")

# How often a process that waits for a slot of a pool looks whether there is one.
POOL_LOOK_SECONDS = 0.2


class StoredSink:
    """A sink of orchord.execution over storage.

    Args:
        storage: the database.
        run_id: the run.
        worker_id: who claims its attempts, as the heartbeat names it.
        process_id: the process that carries the run out.
        retries: the number of retries that each step has had so far, for a run that is taken over.

    Attributes:
        live: writes down what steps tell while they run; give it their events as they happen.
        worker_id: who claims its attempts.
        run_status: the run's terminal status, once this sink has ended the run.
    """

    def __init__(
        self,
        storage: Storage,
        run_id: str,
        *,
        worker_id: str,
        process_id: int,
        retries: Mapping[str, int] | None = None,
    ) -> None:
        self.storage = storage
        self.live = LiveEvents(storage, run_id)
        self.run_id = run_id
        self.run_status: RunStatus | None = None
        self.worker_id = worker_id
        self._process_id = process_id
        # Of the attempts that are held now, by step.
        self._tokens: dict[str, str] = {}
        # Claims that wait for a slot of their step's pool, by step.
        self._in_turn: dict[str, Claim] = {}
        self._retries = dict(retries or {})

    def claim(self, step: Step, attempt: int) -> bool:
        """Claim an attempt; False when the run does not go on, or another process has the step.

        A step that needs a slot of a pool waits here until it has one.
        """
        claimed, pause = self.claim_now(step, attempt), threading.Event()
        try:
            while claimed is None:
                pause.wait(POOL_LOOK_SECONDS)
                claimed = self.claim_now(step, attempt)
        except BaseException:
            self.forget(step)
            raise
        return claimed

    def claim_now(self, step: Step, attempt: int) -> bool | None:
        """Claim an attempt without waiting; None when its pool has no slot for it now: ask again, or ``forget`` it."""
        waiting = self._in_turn.get(step.key)
        if waiting is None:
            claim = Claim(
                run_id=self.run_id,
                step_key=step.key,
                attempt=attempt,
                retry_number=self._retries.get(step.key, 0),
                token=secrets.token_hex(8),
                worker_id=self.worker_id,
                process_id=self._process_id,
                at=utc_now(),
                pool=step.pool,
                in_place=True,
            )
        else:
            claim = msgspec.structs.replace(waiting, at=utc_now())
        result = self.insist(lambda: self.storage.attempts.claim(claim))
        if result.waits_for_pool is not None:
            self._in_turn[step.key] = claim
            return None
        self._in_turn.pop(step.key, None)
        if result.claimed:
            self._tokens[step.key] = claim.token
            self.live.begin(step.key, attempt, claim.token)
        return result.claimed

    def note_inline(self, step: Step) -> None:
        """Take note that a claimed step is carried out in this very process, and not in one of its own."""

    def forget(self, step: Step) -> None:
        """Wait no longer for a slot of a step's pool."""
        if self._in_turn.pop(step.key, None) is not None:
            self.insist(lambda: self.storage.pools.forget(self.run_id, step.key))

    def token_of(self, step_key: str) -> str:
        """Return the token of the attempt at a step that is held now; empty when none is."""
        return self._tokens.get(step_key, "")

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store how an attempt ended, and all that came of it."""
        now, retry_at = utc_now(), None
        if result.status is AttemptStatus.UP_FOR_RETRY:
            retry_at = now + timedelta(seconds=result.retry_delay_seconds or 0.0)
            self._retries[step.key] = self._retries.get(step.key, 0) + 1
        finish = Finish(
            run_id=self.run_id,
            step_key=step.key,
            attempt=attempt,
            token=self._tokens.pop(step.key, ""),
            status=result.status,
            at=now,
            retry_at=retry_at,
            outputs=result.outputs,
            events=self.live.rest_of(step.key, result.events),
            error=result.error,
            skips=as_skips(skips),
            ends_run=ends_run,
        )
        self.note_end(self.store(finish).run_status)

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store steps that do not run though no step has ended."""
        at, rows = utc_now(), as_skips(skips)
        self.note_end(self.insist(lambda: self.storage.attempts.record_skips(self.run_id, rows, at, ends_run=ends_run)))

    def insist(self, act: Callable[[], Answer]) -> Answer:
        """Ask storage for what may be asked twice."""
        return act()

    def store(self, finish: Finish) -> FinishResult:
        """Send one finish to storage."""
        return self.storage.attempts.finish(finish)

    def note_end(self, status: RunStatus | None) -> None:
        """Take note of the run's end, if that was it."""
        if status is not None:
            self.run_status = status


def as_skips(commands: Sequence[SkipStep]) -> tuple[Skip, ...]:
    """Return skip commands as storage takes them."""
    return tuple(Skip(command.step_key, command.status, command.reason) for command in commands)
