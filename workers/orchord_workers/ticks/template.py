"""The template: a small process, forked before Celery and threads start, that forks the tick worker when it is needed.

User code is loaded once and shared by all. The template keeps one tick worker alive, and ends with the worker that
forked it. What a tick worker does is worker.py.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Callable

from orchord.spi import CodeLocation, Settings
from orchord_workers.ticks.worker import run_tick_worker

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
# A worker that lived for this long died of something new.
STEADY_SECONDS = 30.0
# How long a tick worker may take to stop; its template gets a little more.
STOP_SECONDS = 15.0


class TickFleet:
    """A location's tick worker, as the worker that serves its steps holds it.

    Args:
        serve: runs a tick worker to its end, in the process that it is called in.
    """

    def __init__(self, serve: Callable[[], None]) -> None:
        self._serve = serve
        self._template_id: int | None = None

    def start(self) -> None:
        """Fork the template. No thread may run yet, and no connection may be open."""
        gc.freeze()  # What is there stays shared: no collection writes into it.
        parent_id = os.getpid()
        process_id = os.fork()
        if process_id == 0:
            _to_the_end(_Template(self._serve, parent_id).run)
        self._template_id = process_id

    def has_died(self) -> bool:
        """Return whether the template has ended although nobody stopped it."""
        return self._template_id is not None and _has_ended(self._template_id)

    def stop(self) -> None:
        """Ask the tick worker to stop, and wait for its end; kill it when that takes too long."""
        process_id, self._template_id = self._template_id, None
        if process_id is not None:
            _stop(process_id, STOP_SECONDS + 5)


def tick_fleet(settings: Settings, code: CodeLocation, log_level: str) -> TickFleet | None:
    """Return the fleet of a location, or None when it has neither schedules nor sensors."""
    if not (code.snapshot.schedules or code.snapshot.sensors):
        return None
    return TickFleet(lambda: run_tick_worker(settings, code, log_level=log_level, parent_id=os.getppid()))


class _Template:
    """The loop of the template process."""

    def __init__(self, serve: Callable[[], None], parent_id: int) -> None:
        self._serve = serve
        self._parent_id = parent_id
        self._stops = False

    def run(self) -> None:
        """Keep a tick worker until the parent has ended or asks to stop."""
        # Ctrl-C reaches every process of the terminal: the tick worker stops by itself, and is to stay so.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        pause = FIRST_PAUSE_SECONDS
        while not self._is_over():
            began = time.monotonic()
            worker_id = self._forked()
            while not _has_ended(worker_id):
                if self._is_over():
                    _stop(worker_id, STOP_SECONDS)
                    return
                time.sleep(LOOK_SECONDS)
            if self._is_over():
                return
            steady = time.monotonic() - began > STEADY_SECONDS
            pause = FIRST_PAUSE_SECONDS if steady else min(pause * 2, LONGEST_PAUSE_SECONDS)
            logger.error("The tick worker ended; another one starts in %.1f s", pause)
            again_at = time.monotonic() + pause
            while not self._is_over() and time.monotonic() < again_at:
                time.sleep(LOOK_SECONDS)

    def _forked(self) -> int:
        process_id = os.fork()
        if process_id == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _to_the_end(self._serve)
        return process_id

    def _is_over(self) -> bool:
        return self._stops or os.getppid() != self._parent_id

    def _on_stop(self, number: int, frame: object) -> None:
        self._stops = True


def _to_the_end(act: Callable[[], None]) -> None:
    """Do something, then end the process: nothing of its parent's, such as clean-up at exit, is ours to do."""
    code = 1
    try:
        act()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:  # boundary: the end of the process
        logger.exception("The tick worker failed")
    finally:
        os._exit(code)


def _stop(process_id: int, seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while not _has_ended(process_id):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        time.sleep(0.02)


def _has_ended(process_id: int) -> bool:
    """Return whether a child has ended. Told once, it is no child any more, and still has ended."""
    try:
        return os.waitpid(process_id, os.WNOHANG)[0] == process_id
    except ChildProcessError:
        return True
