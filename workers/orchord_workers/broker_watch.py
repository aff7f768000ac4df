"""What the monitor asks of the broker: how much waits in a queue, and whether everything in it was lost.

A message of our own lies in a queue that nobody consumes, and a key in the result backend: when one of them is gone,
the broker or the backend was flushed or started anew, and with it went messages and parts of chords.
"""

from __future__ import annotations

from typing import Any

import redis.exceptions

from orchord.spi import BrokerUnavailableError, launches_queue, steps_queue
from orchord_workers.app import OrchordCelery, broker_errors_translated

MARK_QUEUE = "orchord.mark"
MARK_KEY = "orchord:v1:mark"


class BrokerWatch:
    """Holds one connection to the broker, made when it is needed. For one thread."""

    def __init__(self, app: OrchordCelery) -> None:
        self._app = app
        self._connection: Any = None

    def waiting(self, station: str) -> int:
        """Return how many messages wait in the queues of a location's steps, or in a queue of launches.

        Args:
            station: The location, or the queue of launches.

        Raises:
            BrokerUnavailableError: the broker cannot be reached.
        """
        if station.startswith(launches_queue("")):
            return self._count(station)
        location = station
        return sum(self._count(steps_queue(location, name)) for name in (None, *self._app.further_queues))

    def was_emptied(self) -> bool:
        """Return whether what the broker or the result backend held was lost since the last call.

        The first call of all, when nobody has left a mark before, counts as a loss too.

        Raises:
            BrokerUnavailableError: one of them cannot be reached.
        """
        has_broker_mark = self._count(MARK_QUEUE) > 0
        with broker_errors_translated(self._app):
            has_backend_mark = not self._app.backend.client.set(MARK_KEY, "1", nx=True)
        if not has_broker_mark:
            self._leave_mark()
        return not (has_broker_mark and has_backend_mark)

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _count(self, queue: str) -> int:
        try:
            with broker_errors_translated(self._app):
                connection = self._opened()
                try:
                    return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)
                except connection.channel_errors as error:
                    if queue == MARK_QUEUE and "WRONGTYPE" in str(error):
                        # Somebody else's key has our name: without a mark, nothing would be mended any more.
                        connection.default_channel.client.delete(MARK_QUEUE)
                        return 0
                    if isinstance(error, redis.exceptions.RedisError):
                        raise
                    # No such queue, as after a flush of the broker: nothing waits in it. The refusal costs the channel.
                    self.close()
                    return 0
        except BrokerUnavailableError:
            self.close()
            raise

    def _leave_mark(self) -> None:
        try:
            with broker_errors_translated(self._app):
                queue = self._opened().SimpleQueue(MARK_QUEUE)
                queue.put("Left by the monitor, to see whether the broker loses what it holds.")
                queue.close()
        except BrokerUnavailableError:
            self.close()
            raise

    def _opened(self) -> Any:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        return self._connection
