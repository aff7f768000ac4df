"""One message of ticks in a pool child: claim, evaluate, write the ends, hand the runs over, go on with the lane.

The evaluation itself is the core's (orchord.instance.evaluation). Ticks of one message are claimed together, evaluated
one by one, and end together. They are fenced by their token, whose beginning names the process that holds them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence

from orchord.spi import (
    CodeLocation,
    ErrorInfo,
    Evaluation,
    InstigatorKind,
    NewTick,
    OrchordInstance,
    PreparedRun,
    StorageUnavailableError,
    Tick,
    TickEnd,
    TickFinished,
    evaluate,
    hand_over_all,
    utc_now,
)
from orchord_workers.persistence import patiently
from orchord_workers.ticks.limits import HARD_GRACE_SECONDS, held_to
from orchord_workers.ticks.marks import Marks
from orchord_workers.ticks.together import Together

logger = logging.getLogger(__name__)

# Of its time limit, an evaluation that could go on may begin further work in this part.
SHARE_OF_LIMIT = 0.5
# What was evaluated waits no longer than this for the others of its message, but for one that takes long (together.py).
LONGEST_WAIT_SECONDS = 0.5
# A tick whose process died while it was at nothing that is known is not tried for ever.
MOST_TRIES = 3


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
        marks: where to note which tick it is at.
    """

    def __init__(
        self,
        instance: OrchordInstance,
        code: CodeLocation,
        worker_id: str,
        process_id: int,
        marks: Marks | None = None,
    ) -> None:
        self.instance = instance
        self._code = code
        self._worker_id = worker_id
        self._process_id = process_id
        self._marks = marks if marks is not None else Marks()
        self._marks.put(process_id, 0)

    def run(self, tick_ids: Sequence[int], lane: str | None = None) -> None:
        """Evaluate those of these ticks that wait; of a lane, all that wait in it, the oldest first.

        Whoever finds a lane busy leaves it: who is at work in it goes on with what waits.

        Raises:
            StorageUnavailableError: the database cannot be reached; the message is to come again.
        """
        if lane is not None:
            self._go_along(lane)
            return
        claims, token = self.instance.storage.ticks, self._token()
        if len(tick_ids) == 1:
            tick = claims.claim(tick_ids[0], token, self._worker_id, utc_now())
            self._carry_out([] if tick is None else [tick])
        else:
            self._carry_out(claims.claim_many(tick_ids, token, self._worker_id, utc_now()))

    def process_lost(self, worker_id: str, process_id: int, at_tick: int | None = None) -> None:
        """End what a process that has died was evaluating, give back what it held beside, and go on with its lane.

        Args:
            worker_id: its worker.
            process_id: the process.
            at_tick: the tick that it was at; 0: none; None: nobody knows.
        """
        claims = self.instance.storage.ticks
        held = claims.held_by(token_prefix(worker_id, process_id))
        for tick in held:
            if tick.tick_id == at_tick or (at_tick is None and len(held) == 1):
                error = death_of(tick)
                logger.error("Tick %s: %s", tick.tick_id, error.message, extra={"tick_id": tick.tick_id})
                claims.give_up(tick.tick_id, error, utc_now(), token=tick.token)
            elif at_tick:
                claims.release([tick.tick_id], tick.token or "")
            else:
                claims.give_up(tick.tick_id, death_of(tick), utc_now(), tries_left=MOST_TRIES - 1, token=tick.token)
        for lane in dict.fromkeys(tick.lane for tick in held if tick.lane is not None):
            self._go_along(lane)

    def _go_along(self, lane: str) -> None:
        claim_next = self.instance.storage.ticks.claim_next
        while (tick := claim_next(self._code.name, lane, self._token(), self._worker_id, utc_now())) is not None:
            self._carry_out([tick])

    def _carry_out(self, ticks: Sequence[Tick]) -> None:
        """Evaluate ticks that were claimed by one token, and write their ends together, or at least soon."""
        together = Together(ticks)
        with together.relieved(lambda: self._relieve(together)):
            began = time.monotonic()
            while (tick := together.next()) is not None:
                try:
                    together.add(tick, self._evaluated(tick))
                except StorageUnavailableError:
                    self._give_back([tick, *together.take_waiting()])
                    self._end(together.take_done())
                    raise
                if time.monotonic() - began > LONGEST_WAIT_SECONDS:
                    self._end(together.take_done())
                    together.wait_again(self._renewed(together.take_waiting()))
                    began = time.monotonic()
        self._end(together.take_done())

    def _relieve(self, together: Together) -> None:
        """End what is evaluated, and give what waits to other processes, while a slow evaluation goes on."""
        self._end(together.take_done())
        waiting = together.take_waiting()
        if not waiting:
            return
        self._give_back(waiting)
        # Should it not be possible, the daemon sends them.
        self.instance.courier.send_ticks(waiting)
        self.instance.storage.ticks.mark_sent([tick.tick_id for tick in waiting], utc_now())

    def _give_back(self, rest: Sequence[Tick]) -> None:
        token, tick_ids = rest[0].token or "", [tick.tick_id for tick in rest]
        patiently(lambda: self.instance.storage.ticks.release(tick_ids, token))

    def _renewed(self, rest: Sequence[Tick]) -> list[Tick]:
        """Let the time limits of claimed ticks count from now; return those that are still ours."""
        if not rest:
            return []
        token, tick_ids = rest[0].token or "", [tick.tick_id for tick in rest]
        held = patiently(lambda: self.instance.storage.ticks.renew(tick_ids, token, utc_now()))
        return [tick for tick in rest if tick.tick_id in held]

    def _evaluated(self, tick: Tick) -> Evaluation:
        began = time.monotonic()
        limit = tick.time_limit_seconds
        self._marks.put(self._process_id, tick.tick_id)
        try:
            return evaluate(
                self.instance,
                self._code,
                tick,
                limit=held_to(limit, described(tick)),
                may_go_on=lambda: time.monotonic() - began < limit * SHARE_OF_LIMIT,
            )
        finally:
            self._marks.put(self._process_id, 0)

    def _end(self, done: Sequence[tuple[Tick, Evaluation]]) -> None:
        """Write what ticks came to, and hand their runs over."""
        if not done:
            return
        ending = [(tick, evaluation) for tick, evaluation in done if not self._is_tried_again(tick, evaluation)]
        runs: list[PreparedRun] = []
        for (tick, evaluation), finished in zip(ending, self._finished([one.end for _, one in ending]), strict=True):
            if not finished.accepted:
                logger.warning("Tick %s was ended by others before it came to its end here", tick.tick_id)
                continue
            self._log(tick, evaluation.end.error, finished)
            if evaluation.has_more:
                self._go_on_with(tick)
            created = set(finished.created)
            runs += [one for one in evaluation.prepared if one.run.run_id in created]
        hand_over_all(self.instance, runs)

    def _is_tried_again(self, tick: Tick, evaluation: Evaluation) -> bool:
        error = evaluation.end.error
        if error is None or not self._has_tries_left(tick):
            return False
        # Nothing of it is recorded, and the daemon sends what waits again, after a pause.
        logger.warning("Tick %s failed and is tried again: %s", tick.tick_id, error.message)
        patiently(lambda: self.instance.storage.ticks.give_up(tick.tick_id, error, utc_now(), tries_left=tick.tries))
        return True

    def _finished(self, ends: Sequence[TickEnd]) -> Sequence[TickFinished]:
        """Write ends together; one by one, if something keeps them all from it, so that only one fails by that."""
        claims = self.instance.storage.ticks
        try:
            return patiently(lambda: claims.finish_many(ends))
        except Exception as fault:  # boundary: whatever it is, the other ticks are not to blame
            if len(ends) > 1:
                logger.warning("%s ticks could not end together, and end one by one: %s", len(ends), fault)
                return [finished for end in ends for finished in self._finished([end])]
            error = ErrorInfo(type(fault).__name__, f"What the tick came to could not be written: {fault}")
            logger.exception("Tick %s could not end", ends[0].tick_id)
            patiently(lambda: claims.give_up(ends[0].tick_id, error, utc_now()))
            return [TickFinished(False)]

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
