"""The daemon's entry: what the ``orchord daemon`` command calls, and how signals end it.

What runs in the process is daemon.py.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
from types import FrameType

from orchord.spi import Settings
from orchord_beat.daemon import Daemon


def run_daemon(settings: Settings, *, log_level: str = "INFO") -> None:
    """Make ticks and watch over the instance's runs until SIGTERM or SIGINT.

    Any number of daemons may run: one of them leads, and what they do is fenced in storage.
    """
    logging.getLogger().setLevel(log_level)
    daemon = Daemon(settings)
    # A handler runs between any two steps of the main thread, which may hold the very lock that stopping takes. Of all
    # that wakes a thread only this queue may be used there.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def asked(number: int, frame: FrameType | None) -> None:
        signals.put(number)

    def stop_when_asked() -> None:
        signals.get()
        daemon.stop()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    threading.Thread(target=stop_when_asked, name="orchord-signals", daemon=True).start()
    daemon.run()
