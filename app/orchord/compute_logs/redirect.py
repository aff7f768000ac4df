"""Turning this process's standard output and error to two open files and back, at the level of descriptors.

What Python, C extensions and child processes write is caught alike. Which files they are is each manager's matter.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TextIO

_STDOUT_FD, _STDERR_FD = 1, 2

# Descriptors 1 and 2 belong to the whole process. One thread holds them at a time; the same thread may nest.
_owner_lock = threading.Lock()
_owner: int | None = None
_depth = 0


@contextmanager
def redirected(stdout_fd: int, stderr_fd: int) -> Iterator[None]:
    """Send descriptors 1 and 2, and Python's own streams, to these descriptors until the context ends.

    While another thread has them redirected, this context leaves them alone and says so in ``stderr_fd``: two
    captures that overlap without nesting could leave the process's output in the wrong file for good.
    """
    if not _acquire():
        os.write(stderr_fd, b"[orchord] Not captured: another thread of this process is running a captured step.\n")
        yield
        return
    try:
        # What was written before belongs where the descriptors point until now.
        _flush(sys.stdout, sys.stderr)
        with _moved(_STDOUT_FD, stdout_fd), _moved(_STDERR_FD, stderr_fd), _streams_on_descriptors():
            yield
    finally:
        _release()


def _acquire() -> bool:
    global _owner, _depth
    me = threading.get_ident()
    with _owner_lock:
        if _owner not in (None, me):
            return False
        _owner = me
        _depth += 1
        return True


def _release() -> None:
    global _owner, _depth
    with _owner_lock:
        _depth -= 1
        if not _depth:
            _owner = None


def _after_fork() -> None:
    """A child of a pool starts with nobody holding the descriptors, whatever its parent's threads did."""
    global _owner_lock, _owner, _depth
    _owner_lock, _owner, _depth = threading.Lock(), None, 0


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def _moved(descriptor: int, target: int) -> Iterator[None]:
    """Make ``descriptor`` mean ``target``; afterwards what it meant before, or closed if it was closed."""
    saved: int | None = None
    with suppress(OSError):
        saved = os.dup(descriptor)
    os.dup2(target, descriptor)
    try:
        yield
    finally:
        if saved is None:
            os.close(descriptor)
        else:
            os.dup2(saved, descriptor)
            os.close(saved)


@contextmanager
def _streams_on_descriptors() -> Iterator[None]:
    """Let ``print`` write to the descriptors line by line, whatever ``sys.stdout`` is now (a logger, a buffer)."""
    earlier_stdout, earlier_stderr = sys.stdout, sys.stderr
    stdout, stderr = _text_stream(_STDOUT_FD), _text_stream(_STDERR_FD)
    sys.stdout, sys.stderr = stdout, stderr
    try:
        yield
    finally:
        # Flushed while the descriptors still point at the files, so that no byte of the step leaks out after it.
        _flush(stdout, stderr, sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = earlier_stdout, earlier_stderr


def _text_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush(*streams: IO[str] | None) -> None:
    for stream in (*streams, sys.__stdout__, sys.__stderr__):
        # A stream that the user's code has closed or broken must not fail the step.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
