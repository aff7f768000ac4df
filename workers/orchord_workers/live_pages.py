"""Live pages in Redis: the last part of what each running step prints, for readers on other machines.

A stream is a hash that says what there is, and strings of 256 KiB each; writing a piece again changes nothing. All of
it is bounded by window, age and budget: Redis is the broker's too. Who writes and who reads is the core's matter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import redis

from orchord.spi import (
    BrokerUnavailableError,
    CelerySettings,
    LivePages,
    LiveWrite,
    LogChunk,
    StreamName,
    left_out_mark,
)
from orchord_workers.app import broker_errors_translated, close_app, make_app

PAGE_BYTES = 256 * 1024
#: How much of each stream is held; older bytes are in the store, in the worker's file, or nowhere.
WINDOW_BYTES = 8 * 1024 * 1024
#: How much is held of all streams together; the streams that were written to longest ago go first.
BUDGET_BYTES = 256 * 1024 * 1024
#: How many streams are held: one that holds a single line takes some hundred bytes beside it.
MOST_STREAMS = 20_000
#: A stream that nobody wrote to for this long is forgotten: while its step runs, and after its end.
OPEN_SECONDS = 24 * 3600
ENDED_SECONDS = 3600
TRIM_SECONDS = 30.0
#: After a failure nothing is asked for so long, so that readers and shippers do not all wait for time-outs.
PAUSE_SECONDS = 2.0

_ROOT = "orchord:v1:log"
_ALL = f"{_ROOT}:all"
#: Whose turn it is to forget: one worker does for all.
_TURN = f"{_ROOT}:trim"


class RedisLivePages(LivePages):
    """Stands on the result backend of the instance's ``celery`` section.

    Args:
        settings: the section.
        window_bytes: how much of each stream is held.
        budget_bytes: how much of all.
        most_streams: how many streams.
    """

    def __init__(
        self,
        settings: CelerySettings,
        window_bytes: int = WINDOW_BYTES,
        budget_bytes: int = BUDGET_BYTES,
        most_streams: int = MOST_STREAMS,
    ) -> None:
        self._settings = settings
        self._window_bytes = window_bytes
        self._budget_bytes = budget_bytes
        self._most_streams = most_streams
        self._silent_until = 0.0
        self._next_trim = time.monotonic() + TRIM_SECONDS

    @cached_property
    def _app(self) -> Any:
        return make_app(self._settings)

    @contextmanager
    def _client(self) -> Iterator[redis.Redis]:
        if time.monotonic() < self._silent_until:
            raise BrokerUnavailableError("The result backend, which live logs go through, did not answer a moment ago.")
        try:
            with broker_errors_translated(self._app):
                yield self._app.backend.client
        except BrokerUnavailableError:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            raise

    def write(self, writes: Sequence[LiveWrite]) -> None:
        """Store pieces, in one round trip."""
        if not writes:
            return
        with self._client() as client:
            pipe = client.pipeline(transaction=False)
            for write in writes:
                self._add(pipe, write)
            pipe.execute()
            if time.monotonic() >= self._next_trim:
                self._next_trim = time.monotonic() + TRIM_SECONDS
                if client.set(_TURN, "taken", nx=True, px=int(TRIM_SECONDS * 900)):
                    self._trim(client)

    def _add(self, pipe: Any, write: LiveWrite) -> None:
        key = _key(write.name)
        size = write.offset + len(write.data)
        age = ENDED_SECONDS if write.is_complete else OPEN_SECONDS
        first = max(0, size - self._window_bytes) // PAGE_BYTES
        position = 0
        while position < len(write.data):
            page, within = divmod(write.offset + position, PAGE_BYTES)
            piece = write.data[position : position + PAGE_BYTES - within]
            position += len(piece)
            if page >= first:
                pipe.setrange(f"{key}:{page}", within, piece)
                pipe.expire(f"{key}:{page}", age)
        # What an earlier piece of at most this length may have pushed out of the window.
        gone = [f"{key}:{page}" for page in range(max(0, first - 2 - len(write.data) // PAGE_BYTES), first)]
        if gone:
            pipe.delete(*gone)
        # A stream that was forgotten meanwhile goes on in the middle: before that, its pages hold nothing but zeros.
        pipe.hsetnx(key, "from", write.offset)
        known = {"size": size, "first": first * PAGE_BYTES, "done": int(write.is_complete)}
        pipe.hset(key, mapping=known if write.offset else {**known, "from": 0})
        pipe.expire(key, age)
        if write.is_complete or not write.data:
            # Its end, or the word that it goes on: what it holds keeps as long as the word of it.
            for page in range(first, size // PAGE_BYTES + 1):
                pipe.expire(f"{key}:{page}", age)
        of_run = _run_key(write.name.run_id)
        pipe.sadd(of_run, write.name.file_name)
        pipe.expire(of_run, OPEN_SECONDS)
        pipe.zadd(_ALL, {f"{write.name.run_id}/{write.name.file_name}": time.time()})

    def read(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return up to ``limit`` bytes; None when nothing is known of the stream."""
        key = _key(name)
        with self._client() as client:
            known: Any = client.hmget(key, "size", "first", "from", "done")
            if known[0] is None:
                return None
            size, first, began, is_done = (int(value) for value in known)
            first = max(first, began)
            if offset < first:
                return LogChunk(left_out_mark(first - offset), first, False)
            end = min(size, offset + limit)
            if end <= offset:
                return LogChunk(b"", offset, bool(is_done) and offset >= size)
            pipe = client.pipeline(transaction=False)
            for page in range(offset // PAGE_BYTES, (end - 1) // PAGE_BYTES + 1):
                start = page * PAGE_BYTES
                pipe.getrange(f"{key}:{page}", max(offset - start, 0), min(end - start, PAGE_BYTES) - 1)
            pipe.exists(key)
            *pieces, is_known = pipe.execute()
        data = b""
        for page, piece in enumerate(pieces, offset // PAGE_BYTES):
            data += piece
            if offset + len(data) < min(end, (page + 1) * PAGE_BYTES):
                # The page has gone in this moment, or is of another age: what is here is told first.
                break
        if not data and not is_known:
            return None
        if not data:
            # An old page of a stream that is written to still.
            following = min((offset // PAGE_BYTES + 1) * PAGE_BYTES, size)
            return LogChunk(left_out_mark(following - offset), following, False)
        return LogChunk(data, offset + len(data), bool(is_done) and offset + len(data) >= size)

    def drop(self, names: Sequence[StreamName]) -> None:
        """Forget streams."""
        with self._client() as client:
            _forget(client, list(names))

    def drop_run(self, run_id: str) -> None:
        """Forget every stream of a run."""
        with self._client() as client:
            _forget(client, _streams_of(client, run_id))
            client.delete(_run_key(run_id))

    def of_run(self, run_id: str) -> list[StreamName]:
        """Return the streams of a run that something is known of."""
        with self._client() as client:
            return _streams_of(client, run_id)

    def _trim(self, client: redis.Redis) -> None:
        """Forget what is too old, and the oldest of what is too much."""
        members: Any = client.zrange(_ALL, 0, -1)
        names = [_name_of(member) for member in members]
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(_key(name), "size", "first")
        held: list[list[Any]] = pipe.execute()
        sizes = [0 if size is None else int(size) - int(first) for size, first in held]
        excess = sum(sizes) - self._budget_bytes
        too_many = len(names) - self._most_streams
        gone: list[StreamName] = []
        for number, (name, size, (known, _)) in enumerate(zip(names, sizes, held, strict=True)):
            if known is None or excess > 0 or number < too_many:
                gone.append(name)
                excess -= size
        _forget(client, gone)

    def dispose(self) -> None:
        """Give back connections."""
        app = self.__dict__.pop("_app", None)
        if app is not None:
            close_app(app)


def _forget(client: redis.Redis, names: list[StreamName]) -> None:
    if not names:
        return
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hmget(_key(name), "size", "first")
    known: list[list[Any]] = pipe.execute()
    pipe = client.pipeline(transaction=False)
    for name, (size, first) in zip(names, known, strict=True):
        pages = [] if size is None else range(int(first) // PAGE_BYTES, int(size) // PAGE_BYTES + 1)
        pipe.delete(_key(name), *(f"{_key(name)}:{page}" for page in pages))
        pipe.srem(_run_key(name.run_id), name.file_name)
        pipe.zrem(_ALL, f"{name.run_id}/{name.file_name}")
    pipe.execute()


def _streams_of(client: redis.Redis, run_id: str) -> list[StreamName]:
    members: Any = client.smembers(_run_key(run_id))
    names = (StreamName.of_path(f"{run_id}/{member.decode()}") for member in sorted(members))
    return [name for name in names if name is not None]


def _name_of(member: bytes) -> StreamName:
    name = StreamName.of_path(member.decode())
    assert name is not None, "only names of streams are written here"
    return name


def _key(name: StreamName) -> str:
    # Braces: on a cluster all of a run lives in one place.
    return f"{_ROOT}:{{{name.run_id}}}:{name.file_name}"


def _run_key(run_id: str) -> str:
    return f"{_ROOT}:{{{run_id}}}"
