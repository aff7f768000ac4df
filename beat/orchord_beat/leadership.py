"""Leadership: of all daemons of an instance one makes the ticks, by a lease in the database; the others stand by.

The lease keeps daemons from doing the same work twice, not from doing harm: what they do is fenced in storage.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from orchord.spi import DaemonRow, Storage, StorageUnavailableError
from orchord_beat.vigil import Vigil

logger = logging.getLogger(__name__)

LEASE = "daemon"
LEASE_SECONDS = 6.0
RENEW_SECONDS = 1.5
# Who stands by looks more often: what it waits for is somebody's end.
STAND_BY_SECONDS = 0.75
# A daemon that did not report itself for so long is gone; its row is taken away.
FORGET_AFTER = timedelta(hours=1)


class Leadership:
    """This daemon's part in it: takes the lease, renews it, and reports the daemon's life.

    Args:
        storage: A storage with a connection of its own: no work of the daemon's may keep the lease from being renewed.
        daemon: What to report; its errors and whether it leads are filled in.
        errors: Returns what went wrong last, by loop.
        on_change: Is called with True when this daemon has become the leader, with False when it no longer is.
        vigil: Is told each time that the database has answered.
    """

    def __init__(
        self,
        storage: Storage,
        daemon: DaemonRow,
        errors: Callable[[], dict[str, str]],
        on_change: Callable[[bool], None],
        vigil: Vigil | None = None,
    ) -> None:
        self._storage = storage
        self._daemon = daemon
        self._errors = errors
        self._on_change = on_change
        self._vigil = vigil or Vigil()
        self._held_until = 0.0
        self._led = False
        self._reported_at = 0.0

    def leads(self) -> bool:
        """Return whether the lease is held, as far as can be known without asking: it ends by itself."""
        return time.monotonic() < self._held_until

    def renew(self) -> float:
        """Take or renew the lease, and report. Returns after how many seconds to do so again."""
        asked_at = time.monotonic()
        try:
            term = self._storage.daemons.take_lease(LEASE, self._daemon.daemon_id, LEASE_SECONDS)
            if term is not None:
                # From when it was asked for: it may have been given a moment later, never earlier.
                self._held_until = asked_at + LEASE_SECONDS
        finally:
            self._tell()
        if self._reported_at == 0.0 or asked_at - self._reported_at >= RENEW_SECONDS:
            self._report()
        return RENEW_SECONDS if self.leads() else STAND_BY_SECONDS

    def give_back(self) -> None:
        """Let the lease go, so that another takes over at once, and sign off."""
        self._held_until = 0.0
        try:
            self._storage.daemons.give_back(LEASE, self._daemon.daemon_id)
            self._storage.daemons.remove(self._daemon.daemon_id)
        except StorageUnavailableError as error:
            logger.warning("Could not sign off: %s", error)

    def _tell(self) -> None:
        leads = self.leads()
        if leads != self._led:
            self._led = leads
            logger.info("Daemon %s %s", self._daemon.daemon_id, "leads" if leads else "no longer leads")
            self._on_change(leads)

    def _report(self) -> None:
        now = self._storage.clock()
        self._vigil.note(now)
        row = DaemonRow(
            self._daemon.daemon_id,
            self._daemon.hostname,
            self._daemon.pid,
            self._daemon.started_at,
            now,
            self.leads(),
            self._errors(),
        )
        self._storage.daemons.beat(row)
        self._reported_at = time.monotonic()
        if self.leads():
            self._tidy(now)

    def _tidy(self, now: datetime) -> None:
        """Correct what daemons that were killed have left."""
        for other in self._storage.daemons.all():
            if other.last_seen_at < now - FORGET_AFTER:
                self._storage.daemons.remove(other.daemon_id)
            elif other.is_leader and other.daemon_id != self._daemon.daemon_id:
                self._storage.daemons.beat(msgspec.structs.replace(other, is_leader=False))
