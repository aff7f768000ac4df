"""The courier over Celery: ticks to tick workers, wake-up calls to daemons.

Runs themselves are handed over, and stopped, by launcher.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property

from celery import Celery

from orchord.spi import (
    TICKS_TASK,
    WAKE_CHANNEL,
    BrokerUnavailableError,
    Courier,
    InstigatorKind,
    Tick,
    ticks_queue,
)
from orchord_workers.app import broker_errors_translated, close_app, make_app

logger = logging.getLogger(__name__)

# Schedules are quick, and many are due in the same minute; a sensor may take its time, and holds nobody else up.
SCHEDULES_PER_MESSAGE = 25


class CeleryCourier(Courier):
    """Speaks over the broker and the result backend of the instance's ``celery`` section."""

    @cached_property
    def app(self) -> Celery:
        """The Celery app, made with the first message."""
        return make_app(self.instance.config.celery)

    def send_ticks(self, ticks: Sequence[Tick]) -> None:
        """Ask tick workers to evaluate ticks. One message for each sensor's, and for up to 25 of schedules.

        Raises:
            BrokerUnavailableError: the broker cannot be reached; the daemon sends them later.
        """
        with broker_errors_translated(self.app):
            for location, shadow, tick_ids, lane in batches(ticks):
                self.app.send_task(
                    TICKS_TASK,
                    args=(tick_ids, lane),
                    queue=ticks_queue(location),
                    shadow=shadow,
                    ignore_result=True,
                    argsrepr=f"({', '.join(map(str, tick_ids))})",
                    kwargsrepr="{}",
                )

    def wake(self, what: str) -> None:
        """Wake the daemons: one of the WAKE words. A failure is only logged."""
        try:
            with broker_errors_translated(self.app):
                self.app.backend.client.publish(WAKE_CHANNEL, what)
        except BrokerUnavailableError as error:
            logger.warning("The daemon could not be woken for %s: %s", what, error)

    def dispose(self) -> None:
        """Give back connections."""
        app = self.__dict__.pop("app", None)
        if app is not None:
            close_app(app)


def batches(ticks: Sequence[Tick]) -> Iterator[tuple[str, str, list[int], str | None]]:
    """Return messages to send: the location, the name that Flower shows, the ids of ticks, and their lane if any."""
    schedules: dict[str, list[int]] = {}
    for tick in ticks:
        if tick.key.kind is InstigatorKind.SCHEDULE:
            schedules.setdefault(tick.key.location, []).append(tick.tick_id)
        else:
            yield tick.key.location, f"sensor {tick.key.name}", [tick.tick_id], tick.lane
    for location, tick_ids in schedules.items():
        for start in range(0, len(tick_ids), SCHEDULES_PER_MESSAGE):
            yield location, "schedules", tick_ids[start : start + SCHEDULES_PER_MESSAGE], None
