"""One message of ticks in a pool child: claim, evaluate, write the end, hand the runs over, go on with the lane.

The evaluation itself is the core's (orchord.instance.evaluation). A tick is fenced by its token, whose beginning names
the process that holds it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence

from orchord.spi import (
    CodeLocation,
    ErrorInfo,
    InstigatorKind,
    NewTick,
    OrchordError,
    OrchordInstance,
    PreparedRun,
    StorageUnavailableError,
    Tick,
    TickFinished,
    TickStatus,
    evaluate,
    hand_over,
    utc_now,
)
from orchord_workers.persistence import patiently
from orchord_workers.ticks.limits import HARD_GRACE_SECONDS, held_to

logger = logging.getLogger(__name__)

# Of its time limit, an evaluation that could go on may begin further work in this part.
SHARE_OF_LIMIT = 0.5


def token_prefix(worker_id: str, process_id: int) -> str:
    """Return how the tokens begin by which one process holds ticks."""
    return f"{worker_id}.{process_id}."


class TickRunner:
    """Evaluates ticks in one process.

    Args:
        instance: the instance of this process.
        code: the location's code.
        worker_id: the worker, as its heartbeat names it.
        process_id: this process.
    """

    def __init__(self, instance: OrchordInstance, code: CodeLocation, worker_id: str, process_id: int) -> None:
        self.instance = instance
        self._code = code
        self._worker_id = worker_id
        self._process_id = process_id

    def run(self, tick_ids: Sequence[int], lane: str | None = None) -> None:
        """Evaluate those of these ticks that wait; of a lane, all that wait in it, the oldest first.

        Whoever finds a lane busy leaves it: who is at work in it goes on with what waits.

        Raises:
            StorageUnavailableError: the database cannot be reached; the message is to come again.
        """
        if lane is not None:
            self._go_along(lane)
            return
        for tick_id in tick_ids:
            tick = self.instance.storage.ticks.claim(tick_id, self._token(), self._worker_id, utc_now())
            if tick is not None:
                self._carry_out(tick)

    def process_lost(self, worker_id: str, process_id: int) -> None:
        """End what a process that has died was evaluating, and go on with its lane."""
        for tick in self._held(token_prefix(worker_id, process_id)):
            error = death_of(tick)
            logger.error("Tick %s: %s", tick.tick_id, error.message, extra={"tick_id": tick.tick_id})
            self.instance.storage.ticks.give_up(tick.tick_id, error, utc_now())
            if tick.lane is not None:
                self._go_along(tick.lane)

    def _held(self, prefix: str) -> list[Tick]:
        started = self.instance.storage.ticks.open(10_000, utc_now())
        return [
            tick
            for tick in started
            if tick.status is TickStatus.STARTED and tick.token is not None and tick.token.startswith(prefix)
        ]

    def _go_along(self, lane: str) -> None:
        claim_next = self.instance.storage.ticks.claim_next
        while (tick := claim_next(self._code.name, lane, self._token(), self._worker_id, utc_now())) is not None:
            self._carry_out(tick)

    def _carry_out(self, tick: Tick) -> None:
        began = time.monotonic()
        limit = tick.time_limit_seconds
        try:
            done = evaluate(
                self.instance,
                self._code,
                tick,
                limit=held_to(limit, described(tick)),
                may_go_on=lambda: time.monotonic() - began < limit * SHARE_OF_LIMIT,
            )
        except StorageUnavailableError:
            token = tick.token or ""
            patiently(lambda: self.instance.storage.ticks.release(tick.tick_id, token))
            raise
        error = done.end.error
        if error is not None and self._has_tries_left(tick):
            # Nothing of it is recorded, and the daemon sends what waits again, after a pause.
            logger.warning("Tick %s failed and is tried again: %s", tick.tick_id, error.message)
            patiently(
                lambda: self.instance.storage.ticks.give_up(tick.tick_id, error, utc_now(), tries_left=tick.tries)
            )
            return
        finished = patiently(lambda: self.instance.storage.ticks.finish(done.end))
        if not finished.accepted:
            logger.warning("Tick %s was ended by others before it came to its end here", tick.tick_id)
            return
        self._log(tick, done.end.error, finished)
        if done.has_more:
            self._go_on_with(tick)
        self._hand_over(done.prepared, finished)

    def _has_tries_left(self, tick: Tick) -> bool:
        is_schedules = tick.key.kind is InstigatorKind.SCHEDULE and not tick.is_dry_run
        return is_schedules and tick.tries <= self.instance.config.schedules.max_tick_retries

    def _go_on_with(self, tick: Tick) -> None:
        """Record a further tick of a sensor that has more before it: it is next in the lane."""
        more = NewTick(tick.key, f"more:{tick.tick_id}", utc_now(), tick.time_limit_seconds, tick.lane)
        try:
            self.instance.storage.ticks.make([more])
        except StorageUnavailableError as error:
            logger.warning("The rest of tick %s waits for the sensor's next one: %s", tick.tick_id, error)

    def _hand_over(self, prepared: Sequence[PreparedRun], finished: TickFinished) -> None:
        created = set(finished.created)
        for one in prepared:
            if one.run.run_id not in created:
                continue
            try:
                hand_over(self.instance, one, keeps=True)
            except OrchordError as error:
                logger.error("Run %s could not be handed over: %s", one.run.run_id, error)

    def _log(self, tick: Tick, error: ErrorInfo | None, finished: TickFinished) -> None:
        fields = {"tick_id": tick.tick_id, "location": tick.key.location}
        if error is not None:
            text = f"{error.cls_name}: {error.message}"
            logger.error("Tick %s of %s failed: %s", tick.tick_id, described(tick), text, extra=fields)
        elif finished.created:
            runs = len(finished.created)
            logger.info("Tick %s of %s made %s runs", tick.tick_id, described(tick), runs, extra=fields)

    def _token(self) -> str:
        return token_prefix(self._worker_id, self._process_id) + secrets.token_hex(8)


def described(tick: Tick) -> str:
    """Return how messages call what a tick is of."""
    return f"{'schedule' if tick.key.kind is InstigatorKind.SCHEDULE else 'sensor'} '{tick.key.name}'"


def death_of(tick: Tick) -> ErrorInfo:
    """Word what happened to a tick whose process has died."""
    seconds = 0.0 if tick.started_at is None else (utc_now() - tick.started_at).total_seconds()
    limit = tick.time_limit_seconds
    if seconds >= limit:
        return ErrorInfo(
            "TickTimeLimitExceeded",
            f"The evaluation of {described(tick)} took longer than its limit of {limit:g} s, and did not stop within "
            f"{HARD_GRACE_SECONDS:g} s of being asked to: its process was ended. The worker's log has its stack.",
        )
    return ErrorInfo(
        "TickProcessDied",
        f"The process that evaluated {described(tick)} died after {seconds:.1f} s: it ended itself, was killed, or ran "
        "out of memory. Look at the worker's log.",
    )
