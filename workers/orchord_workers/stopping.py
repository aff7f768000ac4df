"""Stopping steps by what the database says: softly, and after a grace time by ending the pool child.

A broadcast stops them sooner (interrupts.py). This needs no message: each worker's parent compares what its children
work on with the database, so that a canceled run, or an attempt that was ended from outside, never goes on for long.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass

from orchord.spi import OrchordInstance, RunStatus, WorkStanding
from orchord_workers.board import Busy
from orchord_workers.interrupts import Interrupts

logger = logging.getLogger(__name__)

# From the soft stop to the end of the process, unless `run_monitoring: cancel_timeout_seconds` is less.
GRACE_SECONDS = 10.0
# Between a claim and its first look, between a finish and the child's next word: nobody is judged by a glimpse.
YOUNGEST_SECONDS = 1.0
# A child that its own time limit should have ended (it was stopped, or swaps) is ended from here a little later.
LATE_SECONDS = 3.0


@dataclass(frozen=True)
class Asked:
    """A child that was asked to stop what it worked on."""

    token: str
    at: float


class Stopper:
    """Looks with each heartbeat. Costs a query only while a child is at work."""

    def __init__(
        self, instance: OrchordInstance, interrupts: Interrupts, worker_id: str, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._instance = instance
        self._interrupts = interrupts
        self._worker_id = worker_id
        self._grace_seconds = grace_seconds
        self._asked: dict[int, Asked] = {}

    def look(self) -> int:
        """Stop what must not go on. Returns how many children were asked or ended."""
        busy = self._interrupts.board.busy()
        self._asked = {
            b.process_id: asked for b in busy if (asked := self._asked.get(b.process_id)) and asked.token == b.token
        }
        stopped = sum(self._end_if_late(one) for one in busy)
        now = time.monotonic()
        old = [one for one in busy if now - one.since >= YOUNGEST_SECONDS]
        if not old:
            return stopped
        runs = sorted({one.run_id for one in old})
        standings = self._instance.storage.attempts.standing(self._worker_id, runs)
        still = {(one.process_id, one.token) for one in self._interrupts.board.busy()}
        for one in old:
            reason = reason_to_stop(one, standings.get(one.run_id))
            if reason is not None and (one.process_id, one.token) in still:
                stopped += self._stop(one, reason)
        return stopped

    def _stop(self, one: Busy, reason: str) -> int:
        asked = self._asked.get(one.process_id)
        now = time.monotonic()
        if asked is None:
            logger.info("Process %s is asked to stop its work on run %s: %s", one.process_id, one.run_id, reason)
            self._asked[one.process_id] = Asked(one.token, now)
            return int(self._interrupts.interrupt(one))
        if now - asked.at < self._grace_seconds:
            return 0
        logger.warning(
            "Process %s has not stopped its work on run %s in %.0f s, and is ended: %s",
            *(one.process_id, one.run_id, now - asked.at, reason),
        )
        return end_process(one.process_id)

    def _end_if_late(self, one: Busy) -> int:
        if one.end_at is None or time.monotonic() < one.end_at + LATE_SECONDS:
            return 0
        logger.warning("Process %s is ended: its step in run %s is past its time limit", one.process_id, one.run_id)
        return end_process(one.process_id)


def reason_to_stop(one: Busy, standing: WorkStanding | None) -> str | None:
    """Say why a child must not go on with its work, by the database; None when it may."""
    if standing is None:
        return "the run was deleted"
    if standing.status is RunStatus.CANCELING or standing.status.is_terminal:
        return f"the run is {standing.status}"
    if one.is_whole_run or one.token in standing.tokens:
        return None
    return "its attempt was ended from outside"


def end_process(process_id: int) -> int:
    """SIGKILL a pool child; the pool puts another in its place. Returns 1 if it was there."""
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1
