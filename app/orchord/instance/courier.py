"""The port by which servers speak to workers and daemons beside launching runs: ticks and wake-up calls.

The implementation lives in the workers' package and is loaded by its name. Whatever a courier loses, the daemon finds
in the database: a call only makes things quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchord.ticks import Tick

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance


class Courier(ABC):
    """Carries messages to the workers and daemons of one instance."""

    def __init__(self, instance: OrchordInstance) -> None:
        self.instance = instance

    @abstractmethod
    def send_ticks(self, ticks: Sequence[Tick]) -> None:
        """Ask tick workers to evaluate ticks that are recorded as PENDING.

        Raises:
            BrokerUnavailableError: the broker cannot be reached; the daemon sends them later.
        """

    @abstractmethod
    def wake(self, what: str) -> None:
        """Wake the daemons: one of the WAKE words of orchord.wire. A failure is only logged."""

    @abstractmethod
    def dispose(self) -> None:
        """Give back connections."""
