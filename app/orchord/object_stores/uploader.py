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
# What a bucket may raise; the name goes over the pipe.
_ERRORS: dict[str, type[Exception]] = {
    one.__name__: one for one in (FileNotFoundError, PermissionError, ConnectionError, ImportError, OSError, ValueError)
}


class Uploader:
    """A bucket whose objects are changed by a child process. It is started when first needed, and when it has died.

    Every method may be called by several threads; one request is carried out after another.

    Raises (each method): what ``Bucket`` raises, and ConnectionError where the process ends in the middle.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_by = 0

    def put(self, key: str, data: Path | bytes) -> None:
        """Store an object; a file is read by the child."""
        self._ask("put", key, {"path": os.fspath(data)} if isinstance(data, Path) else {"data": data})

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is none."""
        found: int | None = self._ask("size", key, {})
        return found

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key begins so; none is no error."""
        self._ask("delete_prefix", prefix, {})

    def close(self) -> None:
        """End the process; it comes back when needed."""
        with self._lock:
            self._end()

    def _ask(self, deed: str, key: str, arguments: dict[str, Any]) -> Any:
        with self._lock:
            try:
                answer = self._exchange([deed, key, arguments])
            except (OSError, EOFError) as error:
                self._end()
                raise ConnectionError(
                    f"The process that uploads to {self._settings.url} ended while it was asked to {deed} {key}."
                ) from error
        if answer[0] == "ok":
            return answer[1]
        raise _ERRORS.get(answer[1], OSError)(answer[2])

    def _exchange(self, request: list[Any]) -> Any:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        _send(process.stdin, request)
        return _receive(process.stdout)

    def _running(self) -> subprocess.Popen[bytes]:
        # A forked child has its parent's pipes, and must not speak in between.
        if self._process is None or self._started_by != os.getpid() or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
                start_new_session=True,
            )
            self._started_by = os.getpid()
            assert self._process.stdin is not None
            _send(self._process.stdin, [msgspec.to_builtins(self._settings), os.getpid()])
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        if self._started_by != os.getpid():
            return
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _send(pipe: IO[bytes], message: Any) -> None:
    data = msgspec.msgpack.encode(message)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    length = pipe.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        raise EOFError
    data = pipe.read(int.from_bytes(length, "big"))
    return msgspec.msgpack.decode(data)


def main() -> None:
    """Carry out what is asked on standard input until it ends, or the process that asked has."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
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
    else:
        bucket.delete_prefix(key)
    return None


def _waits_for(requests: IO[bytes], parent: int) -> bool:
    """Wait for a request; False once the parent is gone: its forked children hold the pipe open."""
    while not select.select([requests], [], [], _LOOK_SECONDS)[0]:
        if os.getppid() != parent:
            return False
    return True


if __name__ == "__main__":
    main()
