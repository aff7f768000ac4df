"""A TCP proxy in front of the broker, which can delay bytes, hold them back, or cut every connection.

Everything that talks to the broker goes through it, so that a restarted broker keeps its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time

CHUNK = 65_536


class Proxy:
    """Forwards a port of 127.0.0.1 to another, in a thread of its own."""

    def __init__(self, port: int, target_port: int, seed: int = 0) -> None:
        self.port, self.target_port = port, target_port
        self.bytes_held = 0
        self._delay_seconds = 0.0
        self._held_until = 0.0
        self._rng = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._ready.wait(5)

    def delay(self, most_seconds: float) -> None:
        """From now on hold each piece back for up to so long; 0 ends it. Within a connection, order is kept."""
        self._delay_seconds = most_seconds

    def hold(self, seconds: float) -> None:
        """Let nothing pass for a while, on connections that stay open."""
        self._held_until = time.monotonic() + seconds

    def cut(self) -> int:
        """Break every connection; return how many there were."""
        count = len(self._writers) // 2

        def close_all() -> None:
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(close_all)
        return count

    def stop(self) -> None:
        """Close everything."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                while (pause := self._held_until - time.monotonic()) > 0:
                    self.bytes_held += len(data)
                    await asyncio.sleep(min(pause, 0.1))
                if self._delay_seconds:
                    await asyncio.sleep(self._rng.uniform(0, self._delay_seconds))
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
