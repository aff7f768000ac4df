"""Kombu's transport for Redis and Valkey, with one error put right: a connection that is gone says that it is gone.

When the broker dies while a worker holds messages, Kombu gives these back over a connection that it has closed itself,
and stumbles over what is missing there. Celery takes that for a fault of the program, and ends the worker.
"""

from __future__ import annotations

from typing import Any

import redis.exceptions
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

_SCHEMES = ("redis", "rediss")


class Channel(kombu_redis.Channel):
    """A channel whose connection may be closed before it is."""

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise redis.exceptions.ConnectionError("The connection to the broker is closed.")
        return super()._connparams(asynchronous)  # type: ignore[no-untyped-call]  # kombu has few types


class Transport(kombu_redis.Transport):
    """The transport of such channels."""

    Channel = Channel


def register() -> None:
    """Have Kombu use this transport for the addresses of Redis."""
    for scheme in _SCHEMES:
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
