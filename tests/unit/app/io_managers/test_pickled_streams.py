"""Pickles that are written piece by piece: the same as pickle's own to every reader, and never copied as a whole."""

from __future__ import annotations

import io
import pickle
import random
import tracemalloc
from typing import Any

import pytest

from orchord.io_managers import pickling
from orchord.io_managers.pickling import dump


class Memory:
    """A value that gives pickle its memory, as arrays do."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Memory, (pickle.PickleBuffer(self.held),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and type(self.held) is type(other.held) and self.held == other.held


class Counting:
    """A sink that keeps nothing."""

    def __init__(self) -> None:
        self.total = self.largest = 0

    def write(self, buffer: Any) -> None:
        size = memoryview(buffer).nbytes
        self.total, self.largest = self.total + size, max(self.largest, size)


def some_value(chance: random.Random, depth: int = 0) -> Any:
    """Return a value of many kinds, with the byte of NEXT_BUFFER in many places."""
    small = [
        lambda: Memory(bytearray(chance.randbytes(chance.choice([3, 100, 300])))),
        lambda: Memory(chance.randbytes(chance.choice([3, 100, 70_000]))),
        lambda: "ü\x97" * chance.randrange(400),
        lambda: chance.choice([b"\x97" * 3, b"\x97" * 300, chance.randbytes(66_000)]),
        lambda: chance.randrange(-(2 ** chance.randrange(1, 3000)), 2**70),
        lambda: chance.random(),
        lambda: {0x97, "a", 0x9797},
        lambda: bytearray(b"\x97" * 200),
    ]
    nested = [
        lambda: tuple(some_value(chance, depth + 1) for _ in range(chance.randrange(5))),
        lambda: [some_value(chance, depth + 1) for _ in range(chance.randrange(9))],
        lambda: {str(number) * 50: some_value(chance, depth + 1) for number in range(chance.randrange(5))},
    ]
    return chance.choice(small if depth > 3 else small + nested)()


@pytest.mark.parametrize("seed", range(5))
def test_every_value_reads_the_same_by_either_reader(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickling, "_LARGE_BYTES", 50)
    monkeypatch.setattr(pickling, "_PIECE_BYTES", 64)
    chance = random.Random(seed)
    for _ in range(40):
        value = [some_value(chance) for _ in range(8)]
        file = io.BytesIO()
        dump(value, file)
        assert pickle.loads(file.getvalue()) == value
        file.seek(0)
        # Python's own reader minds the frames.
        assert pickle._Unpickler(file).load() == value


@pytest.mark.parametrize("make", [bytes, lambda size: Memory(bytearray(size)), lambda size: Memory(bytes(size))])
def test_a_large_value_is_not_copied(make) -> None:
    value, sink = make(200_000_000), Counting()
    tracemalloc.start()
    try:
        dump(value, sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.total > 200_000_000
    assert sink.largest <= 8 << 20
    assert peak < 20_000_000


def test_a_value_that_cannot_be_pickled_is_pickles_own_error() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        dump(lambda: None, Counting())
