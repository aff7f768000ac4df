"""Which daemons an instance has, as they report themselves to the database.

What a daemon does is orchord_beat's; workers report themselves by heartbeat.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from orchord.storage.values import DaemonRow

if TYPE_CHECKING:
    from orchord.storage import Storage

#: A daemon that has not reported itself for so long does not count. Another takes over from it earlier.
DAEMON_SILENCE = timedelta(seconds=15)


class KnownDaemon(NamedTuple):
    """A daemon, and whether it has reported itself of late. One that has not leads nothing."""

    row: DaemonRow
    is_alive: bool

    @property
    def is_leader(self) -> bool:
        """Whether it is the one that makes ticks."""
        return self.is_alive and self.row.is_leader


def known_daemons(storage: Storage) -> list[KnownDaemon]:
    """Return every daemon that has reported itself and not signed off: the leader, then the living, then the others."""
    oldest = storage.clock() - DAEMON_SILENCE
    found = [KnownDaemon(row, row.last_seen_at >= oldest) for row in storage.daemons.all()]
    return sorted(found, key=lambda known: (not known.is_leader, not known.is_alive, known.row.daemon_id))


def daemons_in_words(daemons: list[KnownDaemon]) -> str:
    """Return in a few words which daemons are alive; what is wrong in them is in their rows."""
    alive = [known for known in daemons if known.is_alive]
    if not alive:
        return "none alive; start one with `orchord daemon`"
    failing = sorted({loop for known in alive for loop in known.row.errors})
    words = [f"{len(alive)} alive"]
    if not any(known.is_leader for known in alive):
        words.append("none leads yet")
    if failing:
        words.append(f"errors in {', '.join(failing)}")
    return ", ".join(words)
