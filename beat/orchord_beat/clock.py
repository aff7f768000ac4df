"""The clock: makes the ticks that are due, all of one moment in one transaction, and has them evaluated.

What is due when is timetable.py; the loop that looks at the clock is scheduler.py. A tick that was recorded and whose
message was not sent, or was lost, is the tick watch's (tick_watch.py).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime

from orchord.spi import (
    InstigatorKind,
    OrchordInstance,
    Tick,
    UnavailableError,
    instigators,
    utc_now,
)
from orchord_beat.timetable import DueTicks, Timetable

logger = logging.getLogger(__name__)

# How often it is looked whether anything was started, stopped, or loaded anew; whoever does so wakes the clock too.
READ_SECONDS = 1.0


@dataclass
class Clock:
    """Makes ticks. Several clocks at once do no harm: a tick is made once, by its key."""

    instance: OrchordInstance
    timetable: Timetable = field(init=False)
    _stamp: tuple[object, ...] | None = None
    _read_at: float = 0.0
    # Set by other threads too; acted on by the clock's alone.
    _is_stale: bool = False

    def __post_init__(self) -> None:
        self.timetable = Timetable(self.instance.config)

    def look(self) -> float:
        """Make the ticks that are due now and send them. Returns after how many seconds to look again at the latest."""
        if self._is_stale:
            self._is_stale = False
            self.timetable.clear()
            self._stamp = None
        if self._stamp is None or time.monotonic() - self._read_at >= READ_SECONDS:
            self._read()
        now = utc_now()
        next_at = self.timetable.next_at()
        if next_at is not None and next_at <= now:
            self._send(self._make_due(now))
            next_at = self.timetable.next_at()
        if next_at is None:
            return READ_SECONDS
        return min(max((next_at - utc_now()).total_seconds(), 0.0), READ_SECONDS)

    def read_again(self) -> None:
        """Look for what was started, stopped or loaded anew at the next turn."""
        self._read_at = 0.0

    def forget_soon(self) -> None:
        """Forget all that is planned at the next turn, as another daemon may have made ticks since it was read."""
        self._is_stale = True

    def _read(self) -> None:
        storage = self.instance.storage
        stamp = storage.instigators.stamp()
        self._read_at = time.monotonic()
        if stamp == self._stamp:
            return
        known = [one for kind in InstigatorKind for one in instigators(storage, kind)]
        begins = self.timetable.read(known, utc_now())
        # Only now: what failed above is tried again.
        self._make(DueTicks([], begins))
        self._stamp = stamp

    def _make_due(self, now: datetime) -> list[Tick]:
        try:
            return self._make(self.timetable.due(now))
        except BaseException:
            # The timetable has gone on, and the ticks are not there: it begins anew where the database says.
            self._is_stale = True
            raise

    def _make(self, due: DueTicks) -> list[Tick]:
        return self.instance.storage.ticks.make(due.ticks, due.planned_until) if due.planned_until else []

    def _send(self, made: list[Tick]) -> None:
        send_ticks(self.instance, made, utc_now())


def send_ticks(instance: OrchordInstance, made: list[Tick], now: datetime) -> bool:
    """Send ticks that are recorded, and note it. A broker that is away is only logged: they are sent again later.

    Returns:
        Whether they were sent.
    """
    if not made:
        return True
    try:
        instance.courier.send_ticks(made)
    except UnavailableError as error:
        logger.warning("%s tick(s) wait to be sent: %s", len(made), error)
        return False
    instance.storage.ticks.mark_sent([tick.tick_id for tick in made], now)
    return True
