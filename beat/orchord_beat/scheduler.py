"""Celery beat's scheduler: where beat looks through entries of its own, this one lets Orchord's clock look.

What the clock does is clock.py; the process around beat's service is daemon.py.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.beat import Scheduler

from orchord_beat.loops import Loop


class OrchordScheduler(Scheduler):  # type: ignore[misc]
    """Makes ticks of schedules and sensors instead of sending tasks of Celery's ``beat_schedule``.

    Args:
        loop: The clock's loop: the daemon's main thread is beat's, and the clock its one task.
        options: What Celery's own schedulers take.
    """

    def __init__(self, *, loop: Loop, stopping: threading.Event, **options: Any) -> None:
        self._loop = loop
        self._stopping = stopping
        super().__init__(**options)

    def setup_schedule(self) -> None:
        """Keep no entries: what is due is in the database."""

    def tick(self, *_: Any, **__: Any) -> float:
        """Let the clock look once, and rest until something is due or the clock is woken; beat then asks again.

        Beat itself would sleep, and could not be woken.
        """
        pause = self._loop.turn()
        if not self._stopping.is_set():
            self._loop.rest(pause)
        return 0.0
