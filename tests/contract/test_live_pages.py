"""What every implementation of live pages promises: the one in memory, and the one in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from orchord.compute_logs import LogStream
from orchord.compute_logs.live import LivePages, LiveWrite
from orchord.compute_logs.streams import StreamName
from orchord.instance.sections import CelerySettings
from orchord.testing.memory_live_pages import MemoryLivePages
from orchord_workers.live_pages import _TURN, PAGE_BYTES, RedisLivePages, _key

OUT = StreamName("run", "step[a.b]", 1, LogStream.STDOUT)
ERR = StreamName("run", "step[a.b]", 1, LogStream.STDERR)
OTHER = StreamName("other", "step", 2, LogStream.STDOUT)

Make = Callable[[int], LivePages]


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[LivePages] = []
    url = request.getfixturevalue("valkey_url") if request.param == "redis" else ""

    def new(window_bytes: int) -> LivePages:
        pages = (
            RedisLivePages(CelerySettings(broker=url, result_backend=url), window_bytes)
            if url
            else MemoryLivePages(window_bytes)
        )
        made.append(pages)
        return pages

    yield new
    for pages in made:
        pages.dispose()


@pytest.fixture
def pages(make: Make) -> LivePages:
    return make(64 * PAGE_BYTES)


def whole(pages: LivePages, name: StreamName, limit: int = 100_000) -> bytes:
    data, offset = b"", 0
    while (chunk := pages.read(name, offset, limit)) is not None and chunk.next_offset > offset:
        data, offset = data + chunk.data, chunk.next_offset
    return data


def test_what_nobody_wrote_is_unknown(pages: LivePages) -> None:
    assert pages.read(OUT, 0, 10) is None
    assert pages.of_run("run") == []


def test_pieces_are_read_from_any_offset_and_the_end_is_known(pages: LivePages) -> None:
    pages.write([LiveWrite(OUT, 0, b"one\n"), LiveWrite(ERR, 0, b"bad\n", is_complete=True)])
    pages.write([LiveWrite(OUT, 4, b"two\n")])
    assert whole(pages, OUT) == b"one\ntwo\n"
    chunk = pages.read(OUT, 2, 3)
    assert chunk is not None
    assert (chunk.data, chunk.next_offset, chunk.is_complete) == (b"e\nt", 5, False)
    chunk = pages.read(OUT, 8, 100)
    assert chunk is not None
    assert (chunk.data, chunk.is_complete) == (b"", False)
    pages.write([LiveWrite(OUT, 8, b"", is_complete=True)])
    chunk = pages.read(OUT, 4, 100)
    assert chunk is not None
    assert (chunk.data, chunk.is_complete) == (b"two\n", True)


def test_a_piece_that_is_written_again_changes_nothing(pages: LivePages) -> None:
    for _ in range(2):
        pages.write([LiveWrite(OUT, 0, b"one\n")])
        pages.write([LiveWrite(OUT, 4, b"two\n")])
    assert whole(pages, OUT) == b"one\ntwo\n"


def test_pieces_larger_than_a_page_are_whole(pages: LivePages) -> None:
    data = bytes(range(256)) * (PAGE_BYTES * 3 // 256) + b"rest"
    pages.write([LiveWrite(OUT, 0, data[:1000]), LiveWrite(OUT, 1000, data[1000:])])
    assert whole(pages, OUT) == data
    assert whole(pages, OUT, limit=PAGE_BYTES * 2 + 7) == data


def test_older_bytes_than_the_window_are_left_out_with_a_mark(make: Make) -> None:
    pages = make(2 * PAGE_BYTES)
    data = b"x" * (6 * PAGE_BYTES)
    for start in range(0, len(data), PAGE_BYTES):
        pages.write([LiveWrite(OUT, start, data[start : start + PAGE_BYTES])])
    chunk = pages.read(OUT, 0, 10)
    assert chunk is not None
    assert b"[orchord] Left out here: 1,048,576 bytes" in chunk.data
    assert chunk.next_offset == 4 * PAGE_BYTES
    chunk = pages.read(OUT, chunk.next_offset, 10)
    assert chunk is not None
    assert chunk.data == b"x" * 10


def test_a_stream_that_was_forgotten_goes_on_after_a_mark(pages: LivePages) -> None:
    pages.write([LiveWrite(OUT, 0, b"old" * 10)])
    pages.drop([OUT])
    pages.write([LiveWrite(OUT, 30, b"new", is_complete=True)])
    chunk = pages.read(OUT, 0, 100)
    assert chunk is not None
    assert b"[orchord] Left out here: 30 bytes" in chunk.data
    chunk = pages.read(OUT, chunk.next_offset, 100)
    assert chunk is not None
    assert (chunk.data, chunk.is_complete) == (b"new", True)


def test_a_forgotten_stream_that_is_written_anew_is_whole(pages: LivePages) -> None:
    pages.write([LiveWrite(OUT, 30, b"new")])
    pages.write([LiveWrite(OUT, 0, b"old" * 10)])
    pages.write([LiveWrite(OUT, 30, b"new", is_complete=True)])
    assert whole(pages, OUT) == b"old" * 10 + b"new"


def test_streams_are_listed_and_forgotten_by_name_and_by_run(pages: LivePages) -> None:
    pages.write([LiveWrite(name, 0, b"text") for name in (OUT, ERR, OTHER)])
    assert pages.of_run("run") == [ERR, OUT]
    pages.drop([ERR])
    assert pages.of_run("run") == [OUT]
    assert pages.read(ERR, 0, 10) is None
    pages.drop_run("run")
    assert pages.of_run("run") == []
    assert pages.read(OUT, 0, 10) is None
    assert whole(pages, OTHER) == b"text"
    pages.drop_run("run")


def written_one_after_another(pages: RedisLivePages) -> list[bool]:
    """Write five streams, each with a look at what is too much; return which of them are held."""
    names = [StreamName("run", f"step{number}", 1, LogStream.STDOUT) for number in range(5)]
    for name in names:
        pages._next_trim = 0.0
        pages._app.backend.client.delete(_TURN)
        pages.write([LiveWrite(name, 0, b"y" * 100)])
    return [pages.read(name, 0, 1) is not None for name in names]


@pytest.mark.parametrize("bound", [{"budget_bytes": 250}, {"most_streams": 2}], ids=["bytes", "streams"])
def test_redis_forgets_the_oldest_streams_when_all_of_them_are_too_much(valkey_url: str, bound: dict[str, int]) -> None:
    pages = RedisLivePages(CelerySettings(broker=valkey_url, result_backend=valkey_url), **bound)
    try:
        assert written_one_after_another(pages) == [False, False, False, True, True]
    finally:
        pages.dispose()


def test_redis_says_where_an_old_page_has_gone_by_its_age(valkey_url: str) -> None:
    pages = RedisLivePages(CelerySettings(broker=valkey_url, result_backend=valkey_url))
    try:
        pages.write([LiveWrite(OUT, 0, b"z" * (2 * PAGE_BYTES))])
        pages._app.backend.client.delete(f"{_key(OUT)}:0")
        chunk = pages.read(OUT, 100, 1000)
        assert chunk is not None
        assert f"Left out here: {PAGE_BYTES - 100:,} bytes".encode() in chunk.data
        assert chunk.next_offset == PAGE_BYTES
        chunk = pages.read(OUT, PAGE_BYTES, 3)
        assert chunk is not None
        assert chunk.data == b"zzz"
    finally:
        pages.dispose()
