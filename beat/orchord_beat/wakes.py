"""Wake-up calls: what others publish when there is something to do, so that no loop need look all the time.

A call may be lost: every loop also looks by itself. What is published, and where, is orchord.wire.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import redis
from celery import Celery

from orchord.spi import RUN_ENDED_CHANNEL, WAKE_CHANGES, WAKE_CHANNEL, WAKE_QUEUE
from orchord_workers.spi import broker_errors_translated

logger = logging.getLogger(__name__)

LISTEN_SECONDS = 1.0


class Wakes:
    """Listens on the result backend, and calls who asked for a word.

    ``listen`` is one turn of a loop: it returns after a second at the latest, and connects anew when it must.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._called: dict[str, list[Callable[[], None]]] = {}
        self._subscription: redis.client.PubSub | None = None

    def on(self, word: str, call: Callable[[], None]) -> None:
        """Have a function called at each call of this word; it must return at once."""
        self._called.setdefault(word, []).append(call)

    def listen(self) -> float:
        """Hear what comes within a second.

        Raises:
            BrokerUnavailableError: the result backend cannot be reached.
        """
        try:
            with broker_errors_translated(self._app):
                if self._subscription is None:
                    self._subscription = self._app.backend.client.pubsub(ignore_subscribe_messages=True)
                    self._subscription.subscribe(RUN_ENDED_CHANNEL, WAKE_CHANNEL)
                    # What was called while nobody listened.
                    self._call(*self._called)
                message = self._subscription.get_message(timeout=LISTEN_SECONDS)
        except BaseException:
            self.close()
            raise
        if message is not None:
            self._call(*_words(message))
        return 0.0

    def close(self) -> None:
        """Give the connection back."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()

    def _call(self, *words: str) -> None:
        for word in words:
            for call in self._called.get(word, ()):
                call()


def _words(message: dict[str, object]) -> tuple[str, ...]:
    if _text(message["channel"]) == RUN_ENDED_CHANNEL:
        # A slot is free, and sensors may wait for the end.
        return WAKE_QUEUE, WAKE_CHANGES
    return (_text(message["data"]),)


def _text(raw: object) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
