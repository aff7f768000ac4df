"""The tick watch: ticks whose message was lost are sent again, and those that hang or lost their worker are ended.

A tick worker ends a tick that takes too long by itself; what is found here is what it could not.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchord.spi import (
    ErrorInfo,
    InstigatorKey,
    InstigatorKind,
    OrchordInstance,
    Tick,
    TickStatus,
    WorkerRow,
    ticks_queue,
)
from orchord_beat.clock import send_ticks
from orchord_beat.monitor import DEAD_AFTER
from orchord_beat.vigil import Vigil

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
TICKS_PER_LOOK = 2000
# A message that is not taken within this time may be lost; with others before it in the queue it only waits its turn.
QUIET = timedelta(seconds=5)
QUIET_WHEN_BUSY = timedelta(seconds=60)
LONGEST_QUIET = timedelta(minutes=5)
# The tick worker's own, harder limits act before this.
OVERDUE_GRACE = timedelta(seconds=15)
# A tick that takes its worker with it is not tried for ever.
MOST_TRIES = 3


@dataclass
class TickWatch:
    """Looks again and again. ``waiting_messages`` tells how many messages wait in a queue."""

    instance: OrchordInstance
    waiting_messages: Callable[[str], int]
    vigil: Vigil = field(default_factory=Vigil)
    # How often a tick was sent from here, and when last.
    _sent: dict[int, tuple[int, datetime]] = field(default_factory=dict)

    def look(self) -> None:
        """Do what is needed now."""
        storage = self.instance.storage
        now = storage.clock()
        self.vigil.note(now)
        workers = storage.workers.alive(now - DEAD_AFTER)
        ticks = self._ticks_to_look_at(workers, now)
        started = [tick for tick in ticks if tick.status is TickStatus.STARTED]
        pending = [tick for tick in ticks if tick.status is TickStatus.PENDING]
        freed = self._end_lost(started, workers, now)
        self._send_again(self._without_missed(pending, now), started, workers, now)
        # A tick that was sent a moment ago is not among the open ones to look at, and must not be forgotten by that.
        remembered = {tick.tick_id for tick in ticks} | self._sent_within(now - 2 * LONGEST_QUIET)
        self._sent = {tick_id: sent for tick_id, sent in self._sent.items() if tick_id in remembered}
        if freed:
            self._send_freed(freed, now)

    def _ticks_to_look_at(self, workers: Iterable[WorkerRow], now: datetime) -> list[Tick]:
        found = self.instance.storage.ticks.open(TICKS_PER_LOOK, now - QUIET)
        if len(found) == TICKS_PER_LOOK:
            # What waits for workers that are not there may be any number, and would hide all that came after it.
            served = {worker.location for worker in workers if worker.takes_ticks}
            known = {tick.tick_id for tick in found}
            more = self.instance.storage.ticks.open(TICKS_PER_LOOK, now - QUIET, served)
            found += [tick for tick in more if tick.tick_id not in known]
        return found

    def _end_lost(self, started: Sequence[Tick], workers: Iterable[WorkerRow], now: datetime) -> list[Tick]:
        """End the ticks that hang, or whose worker died. Returns those whose lane is free by that."""
        living = {worker.worker_id for worker in workers}
        knows_the_silent = self.vigil.lasts(now) >= DEAD_AFTER
        # Ticks that were claimed together are evaluated one by one: each may wait for any of the others.
        together: dict[str, list[Tick]] = defaultdict(list)
        for tick in started:
            together[tick.token or ""].append(tick)
        ended = []
        for tick in started:
            if tick.started_at is None:
                continue
            claimed = together[tick.token or ""]
            limit = timedelta(seconds=max(other.time_limit_seconds for other in claimed))
            if now - tick.started_at > limit + OVERDUE_GRACE:
                reason = f"The tick took longer than its time limit of {limit.total_seconds():g} s."
                tries_left = MOST_TRIES - 1 if len(claimed) > 1 else 0
                self._end(tick, ErrorInfo("TickTimeout", reason), now, tries_left=tries_left)
                ended.append(tick)
            elif knows_the_silent and tick.worker_id not in living and now - tick.started_at > DEAD_AFTER:
                reason = f"The worker that evaluated the tick, {tick.worker_id}, has died."
                self._end(tick, ErrorInfo("WorkerLost", reason), now, tries_left=MOST_TRIES - 1)
                ended.append(tick)
        return ended

    def _end(self, tick: Tick, error: ErrorInfo, now: datetime, *, tries_left: int) -> None:
        status = self.instance.storage.ticks.give_up(tick.tick_id, error, now, tries_left=tries_left, token=tick.token)
        if status is not None:
            logger.warning(
                "Tick %s of %s '%s' is %s: %s",
                tick.tick_id,
                tick.key.kind.value.lower(),
                tick.key.name,
                status.value,
                error.message,
            )

    def _send_freed(self, freed: Iterable[Tick], now: datetime) -> None:
        """Send what waited behind ticks that were ended, and these again if they may be tried once more."""
        lanes = {(tick.key.location, tick.lane) for tick in freed}
        ids = {tick.tick_id for tick in freed}
        waiting = [
            tick
            for tick in self.instance.storage.ticks.open(TICKS_PER_LOOK, now)
            if tick.status is TickStatus.PENDING
            and (tick.tick_id in ids or (tick.lane is not None and (tick.key.location, tick.lane) in lanes))
        ]
        send_ticks(self.instance, _first_of_lanes(waiting), now)

    def _without_missed(self, pending: Iterable[Tick], now: datetime) -> list[Tick]:
        """End ticks of schedules that nobody has evaluated since, but for the newest few; return the others.

        As when no daemon was there: after a night without a worker a schedule is not run for each minute of it.
        """
        most = max(self.instance.config.schedules.max_catchup_runs, 1)
        of_schedule: dict[InstigatorKey, list[Tick]] = defaultdict(list)
        kept = []
        for tick in pending:
            if tick.key.kind is InstigatorKind.SCHEDULE and not tick.is_dry_run:
                of_schedule[tick.key].append(tick)
            else:
                kept.append(tick)
        for ticks in of_schedule.values():
            ticks.sort(key=lambda tick: tick.planned_at)
            for tick in ticks[:-most]:
                if tick.planned_at < now - MISSED_AFTER:
                    reason = "No tick worker of the location took it in time, and newer ones wait (max_catchup_runs)."
                    self._end(tick, ErrorInfo("TickMissed", reason), now, tries_left=0)
                else:
                    kept.append(tick)
            kept += ticks[-most:]
        return kept

    def _send_again(
        self, pending: Iterable[Tick], started: Iterable[Tick], workers: Iterable[WorkerRow], now: datetime
    ) -> None:
        """Send what nobody has taken, where somebody would take it."""
        served = {queue for worker in workers for queue in worker.queues}
        under_way = list(started)
        busy_lanes = {(tick.key.location, tick.lane) for tick in under_way if tick.lane is not None}
        waiting: dict[str, int] = {}
        due = []
        for tick in pending:
            queue = ticks_queue(tick.key.location)
            if queue not in served or (tick.lane is not None and (tick.key.location, tick.lane) in busy_lanes):
                continue
            if tick.sent_at is not None:
                if queue not in waiting:
                    waiting[queue] = self.waiting_messages(queue)
                waits_its_turn = waiting[queue] > 0 or _others_have_their_turn(tick, tick.sent_at, under_way, now)
                quiet = QUIET_WHEN_BUSY if waits_its_turn else QUIET
                patience = min(quiet * 2 ** min(self._times_sent(tick), 6), LONGEST_QUIET)
                if now - tick.sent_at < patience:
                    continue
            due.append(tick)
        due = _first_of_lanes(due)
        if due and send_ticks(self.instance, due, now):
            again = [tick for tick in due if tick.sent_at is not None]
            for tick in again:
                self._sent[tick.tick_id] = (self._times_sent(tick) + 1, now)
            if again:
                logger.warning("%s tick(s) were not taken by a worker, and were sent again", len(again))

    def _times_sent(self, tick: Tick) -> int:
        return self._sent.get(tick.tick_id, (0, None))[0]

    def _sent_within(self, since: datetime) -> set[int]:
        return {tick_id for tick_id, (_, at) in self._sent.items() if at >= since}


# A schedule's tick that waits no longer than this is not given up, however many newer ones there are.
MISSED_AFTER = timedelta(minutes=2)


def _others_have_their_turn(tick: Tick, sent_at: datetime, under_way: Iterable[Tick], now: datetime) -> bool:
    """Return whether workers of the location are at ticks that were sent before this one, or in the same message.

    A worker takes messages ahead: what it has taken waits in no queue, and is not lost.
    """
    recent = [
        other
        for other in under_way
        if other.key.location == tick.key.location and other.started_at is not None and now - other.started_at < QUIET
    ]
    return bool(recent) and all(other.sent_at is not None and other.sent_at <= sent_at for other in recent)


def _first_of_lanes(ticks: Iterable[Tick]) -> list[Tick]:
    """Return the oldest tick of each lane, and all without one: who ends a tick goes on with its lane's next."""
    seen: set[tuple[str, str]] = set()
    first = []
    for tick in sorted(ticks, key=lambda tick: tick.tick_id):
        if tick.lane is not None:
            lane = (tick.key.location, tick.lane)
            if lane in seen:
                continue
            seen.add(lane)
        first.append(tick)
    return first
