"""Changing a bucket from a process of its own, for processes that fork: the library's threads do not outlive a fork.

A worker's parent forks its pool whenever a child has to be replaced, and those children use stores themselves. So it
starts this module as a program, and sends it one request after another; settings go by the pipe, never by arguments.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from orchord.object_stores.bucket import Bucket
from orchord.object_stores.settings import StoreSettings
from orchord.settings import child_environment

_LENGTH_BYTES = 8
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_LOOKS_BEFORE_END = 24
# What a bucket may raise; the name goes over the pipe.
_ERRORS: dict[str, type[Exception]] = {
    one.__name__: one for one in (FileNotFoundError, PermissionError, ConnectionError, ImportError, OSError, ValueError)
}


class Uploader:
    """A bucket whose objects are changed by a child process. It is started when needed, and ends when it is not.

    Every method may be called by several threads; one request is carried out after another.

    Raises (each method): what ``Bucket`` raises, and ConnectionError where the process ends in the middle.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._is_closing = False
        self._times_closed = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def put(self, key: str, data: Path | bytes) -> None:
        """Store an object; a file is read by the child."""
        self._ask("put", key, {"path": os.fspath(data)} if isinstance(data, Path) else {"data": data})

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is none."""
        found: int | None = self._ask("size", key, {})
        return found

    def delete(self, key: str) -> None:
        """Remove an object; none is no error."""
        self._ask("delete", key, {})

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key begins so; none is no error."""
        self._ask("delete_prefix", prefix, {})

    def close(self) -> None:
        """End the process, also in the middle of a request that takes long; it comes back when needed.

        Requests that wait for their turn are refused: each of them might start it again, and take as long.
        """
        self._leave_to_parent()
        process, self._is_closing = self._process, True
        self._times_closed += 1
        if not self._lock.acquire(timeout=_STOP_SECONDS):
            if process is not None:
                process.kill()
            self._lock.acquire()
        try:
            self._end()
        finally:
            self._is_closing = False
            self._lock.release()

    def _ask(self, deed: str, key: str, arguments: dict[str, Any]) -> Any:
        self._leave_to_parent()
        times_closed = self._times_closed
        with self._lock:
            if times_closed != self._times_closed:
                raise ConnectionError(f"Not asked to {deed} {key}: the access to {self._settings.url} was closed.")
            answer = self._answer([deed, key, arguments])
        if answer[0] == "ok":
            return answer[1]
        raise _ERRORS.get(answer[1], OSError)(answer[2])

    def _answer(self, request: list[Any]) -> Any:
        for is_last in (False, True):
            try:
                process = self._running()
                assert process.stdin is not None
                assert process.stdout is not None
                _send(process.stdin, request)
                return _receive(process.stdout)
            except (OSError, EOFError) as error:
                # It may have ended just now, for want of requests; each of them may be made twice.
                self._end()
                if is_last or self._is_closing:
                    raise ConnectionError(
                        f"The process that uploads to {self._settings.url} ended while it was asked to {request[0]} "
                        f"{request[1]}."
                    ) from error
        raise AssertionError("the last time returns or raises")

    def _leave_to_parent(self) -> None:
        """A fork has its parent's process and pipes, and a lock that a thread may hold which it has not."""
        if self._owner == os.getpid():
            return
        process, self._process = self._process, None
        self._lock, self._is_closing, self._owner = threading.Lock(), False, os.getpid()
        if process is not None:
            _close_pipes(process)
            # It is no child of this process: nobody here is to wait for it.
            process.returncode = 0

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            # Without buffers: they have locks, which a fork would take along as they are.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=child_environment(),
                start_new_session=True,
            )
            assert self._process.stdin is not None
            _send(self._process.stdin, [msgspec.to_builtins(self._settings), os.getpid()])
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _close_pipes(process)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _send(pipe: IO[bytes], message: Any) -> None:
    data = msgspec.msgpack.encode(message)
    rest = memoryview(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _receive(pipe: IO[bytes]) -> Any:
    length = int.from_bytes(_exactly(pipe, _LENGTH_BYTES), "big")
    return msgspec.msgpack.decode(_exactly(pipe, length))


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = pipe.read(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def main() -> None:
    """Carry out what is asked on standard input until it ends, or the process that asked has."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(sys.stdin.fileno(), "rb", buffering=0)
    raw_settings, parent = _receive(requests)
    settings = msgspec.convert(raw_settings, StoreSettings)
    bucket = Bucket(settings)
    while _waits_for(requests, parent):
        try:
            deed, key, arguments = _receive(requests)
        except EOFError:
            return
        try:
            answer: list[Any] = ["ok", _done(bucket, deed, key, arguments)]
        except Exception as error:  # noqa: BLE001 - boundary: what goes wrong is told to the process that asked
            name = next((known for known, one in _ERRORS.items() if isinstance(error, one)), "OSError")
            answer = ["error", name, settings.redacted(str(error))]
        _send(answers, answer)


def _done(bucket: Bucket, deed: str, key: str, arguments: dict[str, Any]) -> int | None:
    if deed == "size":
        return bucket.size(key)
    if deed == "put":
        bucket.put(key, Path(arguments["path"]) if "path" in arguments else arguments["data"])
    elif deed == "delete":
        bucket.delete(key)
    else:
        bucket.delete_prefix(key)
    return None


def _waits_for(requests: IO[bytes], parent: int) -> bool:
    """Wait for a request; False once none has come for long, or the parent is gone: its forks hold the pipe open."""
    for _ in range(_LOOKS_BEFORE_END):
        if select.select([requests], [], [], _LOOK_SECONDS)[0]:
            return True
        if os.getppid() != parent:
            return False
    return False


if __name__ == "__main__":
    main()
