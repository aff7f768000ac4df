"""Comparing what runs with what should run: what no event told of, because nobody watched or it came too early.

Costs one list of the platform and one look at the database each half minute. What an end means is watchman.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from orchord.spi import Attempt, AttemptStatus, LaunchKey, LaunchStanding, OrchordInstance, RunStatus, Storage
from orchord_workers.containers.platform import NEVER_STARTED, ContainerState, Phase
from orchord_workers.launching.naming import key_of
from orchord_workers.launching.starter import Started
from orchord_workers.launching.verdicts import is_held_by
from orchord_workers.launching.watchman import STOP_GRACE_SECONDS, Watchman, is_live

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 30.0
# From when a container has no work any more until it is stopped: its last words may be on their way.
GRACE_SECONDS = 10.0
# A launcher worker that was not seen for so long is dead: its reservations are taken over.
DEAD_AFTER = timedelta(seconds=10)


class Resync:
    """Compares for one watchman, in its acting thread.

    Args:
        instance: The instance.
        watchman: Who acts.
        worker_id: The launcher worker.
        started: What its threads are starting now.
    """

    def __init__(self, instance: OrchordInstance, watchman: Watchman, worker_id: str, started: Started) -> None:
        self._instance = instance
        self._watchman = watchman
        self._worker_id = worker_id
        self._started = started
        self._idle_since: dict[str, float] = {}
        self._missing: set[tuple[LaunchKey, str]] = set()
        self._next = 0.0
        # Who was there before is not known to be dead when this one begins: the second look comes sooner.
        self._interval = DEAD_AFTER.total_seconds() + 2.0
        # A thread that waits for a database that is away would else be asked again and again meanwhile.
        self._is_asked = False

    @property
    def _storage(self) -> Storage:
        return self._instance.storage

    def look_if_due(self) -> None:
        """Ask for a comparison when it is time for one. Called with each heartbeat."""
        if time.monotonic() >= self._next and not self._is_asked:
            self._is_asked = True
            self._next = time.monotonic() + self._interval
            self._interval = INTERVAL_SECONDS
            self._watchman.do(self._look_as_asked)

    def _look_as_asked(self) -> None:
        self._is_asked = False
        self.look()

    def look(self) -> None:
        """Compare, and act."""
        # Before the list: what is reserved after it may have no container in it.
        reserved = self._storage.attempts.running_of_worker(self._worker_id)
        states = self._watchman.platform.list(self._instance.owner_id)
        # A run may have several: one that ended and is kept, and the next.
        keyed = [(key, state) for state in states if (key := key_of(state.labels)) is not None]
        there = {key for key, _ in keyed}
        self._adopt(dict(keyed))
        standings = self._storage.launches.standings(there)
        idle: dict[str, float] = {}
        for key, state in keyed:
            standing = standings.get(key)
            if state.phase is Phase.ENDED or state.cannot_start:
                if not state.is_kept or _is_undone(state, standing):
                    self._watchman.attend(state, standing)
            elif is_live(state) and _is_idle(state, standing) and key not in self._started:
                idle[state.name] = self._idle_since.get(state.name, time.monotonic())
                if time.monotonic() - idle[state.name] >= GRACE_SECONDS:
                    logger.info("Container %s has no work any more, and is stopped", state.name)
                    self._watchman.platform.stop(state.name, STOP_GRACE_SECONDS)
            elif is_live(state) and standing is not None and standing.run_status is RunStatus.CANCELING:
                self._watchman.platform.stop(state.name, STOP_GRACE_SECONDS)
        self._idle_since = idle
        if idle:
            self._next = min(self._next, time.monotonic() + GRACE_SECONDS)
        self._give_up_missing(reserved, there)

    def _adopt(self, states: Mapping[LaunchKey, ContainerState]) -> None:
        """Take over what a dead launcher worker had reserved, and whose container is there.

        One that it had only made is begun anew: not all that belongs into it may be there.
        """
        dead = self._storage.launches.reserved_of_dead(self._storage.clock() - DEAD_AFTER)
        there = [one for one in dead if _key_of(one) in states]
        adopted = self._storage.launches.adopt(there, self._worker_id) if there else []
        if adopted:
            logger.info("Took over %d attempts that another launcher worker had started", len(adopted))
        for one in adopted:
            state = states[_key_of(one)]
            if state.is_unstarted:
                self._watchman.attend(replace(state, phase=Phase.ENDED, reason=NEVER_STARTED, is_kept=False))

    def _give_up_missing(self, reserved: list[Attempt], keys: set[LaunchKey]) -> None:
        """Give up own reservations that have no container: seen twice, as one may be started in this moment."""
        missing: set[tuple[LaunchKey, str]] = set()
        lost: list[Attempt] = []
        for attempt in reserved:
            key = _key_of(attempt)
            if key in keys or key in self._started or not self._is_here(attempt):
                continue
            missing.add((key, attempt.token))
            if (key, attempt.token) in self._missing:
                lost.append(attempt)
        self._missing = missing
        if missing:
            self._next = min(self._next, time.monotonic() + GRACE_SECONDS)
        still = [
            found
            for one in lost
            if (found := self._storage.attempts.find(one.run_id, one.step_key, one.attempt)) is not None
            and found.status is AttemptStatus.RUNNING
            and found.token == one.token
        ]
        if still:
            self._watchman.mender.attempts_lost(still, "its container is not there")

    def _is_here(self, attempt: Attempt) -> bool:
        """Whether an attempt is of this watchman's platform: a launcher worker may serve several."""
        return self._watchman.serves(attempt)


def _key_of(attempt: Attempt) -> LaunchKey:
    return LaunchKey(attempt.run_id, attempt.step_key, attempt.attempt)


def _is_undone(state: ContainerState, standing: LaunchStanding | None) -> bool:
    if standing is None or standing.run_status.is_terminal:
        return False
    attempt = standing.attempt
    return attempt is not None and attempt.status is AttemptStatus.RUNNING and is_held_by(attempt, state.name)


def _is_idle(state: ContainerState, standing: LaunchStanding | None) -> bool:
    """Whether a container works for nothing: its run is gone or over, or its attempt is, or is somebody else's."""
    if standing is None or standing.run_status.is_terminal:
        return True
    key = key_of(state.labels)
    if key is None or not key.step_key:
        return False
    attempt = standing.attempt
    return attempt is None or attempt.status is not AttemptStatus.RUNNING or not is_held_by(attempt, state.name)
