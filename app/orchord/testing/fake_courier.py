"""A courier without a broker: it keeps what it was asked to carry, for tests to look at.

It comes with FakeRunLauncher (fake_launcher.py). The port is orchord.instance.courier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchord.errors import BrokerUnavailableError
from orchord.instance.courier import Courier
from orchord.ticks import Tick

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance


class FakeCourier(Courier):
    """Carries nothing.

    Attributes:
        ticks: the ticks that were sent, in order.
        woken: the words by which daemons were woken.
        is_away: set it, and sending fails as it does without a broker.
        on_ticks: is called with ticks that are sent, such as to end them as a tick worker would.
    """

    def __init__(self, instance: OrchordInstance) -> None:
        super().__init__(instance)
        self.ticks: list[Tick] = []
        self.woken: list[str] = []
        self.is_away = False
        self.on_ticks: Callable[[Sequence[Tick]], None] = lambda ticks: None

    def send_ticks(self, ticks: Sequence[Tick]) -> None:
        """Keep ticks.

        Raises:
            BrokerUnavailableError: ``is_away`` is set.
        """
        if self.is_away:
            raise BrokerUnavailableError("The broker is away, as the test wants it. Set is_away to False.")
        self.ticks += ticks
        self.on_ticks(ticks)

    def wake(self, what: str) -> None:
        """Keep the word."""
        self.woken.append(what)

    def dispose(self) -> None:
        """Nothing is held."""
