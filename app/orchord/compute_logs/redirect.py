"""Turning this process's standard output and error to two open files and back, at the level of descriptors.

What Python, C extensions and child processes write is caught alike. Which files they are is each manager's matter.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT_FD, _STDERR_FD = 1, 2

# Descriptors 1 and 2 belong to the whole process. One thread holds them at a time; the same thread may nest.
_owner_lock = threading.Lock()
_owner: int | None = None
_depth = 0


class redirected:  # noqa: N801 - a context manager that is used like a function; as a class it costs a third
    """Send descriptors 1 and 2, and Python's own streams, to these descriptors until the context ends.

    While another thread has them redirected, this context leaves them alone and says so in ``stderr_fd``: two
    captures that overlap without nesting could leave the process's output in the wrong file for good.

    Args:
        stdout_fd: where standard output goes.
        stderr_fd: where standard error goes.
        on_stdout: is called before each time that Python writes to standard output.
        on_stderr: the same of standard error.
    """

    def __init__(
        self,
        stdout_fd: int,
        stderr_fd: int,
        on_stdout: Callable[[], None] | None = None,
        on_stderr: Callable[[], None] | None = None,
    ) -> None:
        self._targets = ((_STDOUT_FD, stdout_fd), (_STDERR_FD, stderr_fd))
        self._on_write = (on_stdout, on_stderr)
        self._is_owner = False
        self._moved: list[tuple[int, int | None]] = []
        self._streams: tuple[TextIO, ...] = ()
        self._earlier: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> None:
        if not _acquire():
            os.write(
                self._targets[1][1],
                b"[orchord] Not captured: another thread of this process is running a captured step.\n",
            )
            return
        self._is_owner = True
        try:
            # What was written before belongs where the descriptors point until now.
            _flush(sys.stdout, sys.stderr)
            for descriptor, target in self._targets:
                self._move(descriptor, target)
            self._turn_streams()
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *_: object) -> None:
        if not self._is_owner:
            return
        try:
            # Flushed while the descriptors still point at the files, so that no byte of the step leaks out after it.
            _flush(*self._streams, sys.stdout, sys.stderr)
        finally:
            self._restore()

    def _move(self, descriptor: int, target: int) -> None:
        """Make ``descriptor`` mean ``target``; afterwards what it meant before, or closed if it was closed."""
        saved: int | None = None
        with suppress(OSError):
            saved = os.dup(descriptor)
        self._moved.append((descriptor, saved))
        os.dup2(target, descriptor)

    def _turn_streams(self) -> None:
        """Let ``print`` write to the descriptors line by line, whatever ``sys.stdout`` is now (a logger, a buffer)."""
        self._earlier = (sys.stdout, sys.stderr)
        self._streams = (_text_stream(_STDOUT_FD, self._on_write[0]), _text_stream(_STDERR_FD, self._on_write[1]))
        sys.stdout, sys.stderr = self._streams

    def _restore(self) -> None:
        """Put everything back, also when a signal handler that cancels the step raises in the middle of it."""
        try:
            self._put_back()
        except BaseException:
            self._put_back()
            raise

    def _put_back(self) -> None:
        if self._earlier is not None:
            sys.stdout, sys.stderr = self._earlier
        while self._moved:
            descriptor, saved = self._moved[-1]
            if saved is not None:
                os.dup2(saved, descriptor)
            else:
                # The step's code may have closed it too.
                with suppress(OSError):
                    os.close(descriptor)
            self._moved.pop()
            if saved is not None:
                os.close(saved)
        if self._is_owner:
            self._is_owner = False
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


class _Descriptor(io.FileIO):
    """A descriptor that tells of each write before it happens."""

    def __init__(self, descriptor: int, on_write: Callable[[], None] | None) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._on_write = on_write

    def write(self, data: ReadableBuffer) -> int:
        if self._on_write is not None:
            self._on_write()
        return super().write(data)


def _text_stream(descriptor: int, on_write: Callable[[], None] | None) -> TextIO:
    buffered = io.BufferedWriter(_Descriptor(descriptor, on_write))
    stream = io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    # As open() leaves it; some libraries look here for whether they may write text.
    stream.mode = "w"  # type: ignore[misc]
    return stream


def _flush(*streams: IO[str] | None) -> None:
    for stream in (*streams, sys.__stdout__, sys.__stderr__):
        # A stream that the user's code has closed or broken must not fail the step.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
