"""The parent of a step or a run in a container: signs of life, stopping, time limits, and attending to its child's end.

It holds no user code, so that no user code can end it. It forks before anything is connected.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import cached_property

from orchord.spi import (
    BrokerUnavailableError,
    Heartbeat,
    MemoryKills,
    OrchordError,
    OrchordInstance,
    Settings,
    Shipper,
    end_process_of_stuck_steps,
    log_shipper,
)
from orchord_workers.app import make_app
from orchord_workers.board import Board
from orchord_workers.hosting.deaths import Death, attend_to
from orchord_workers.interrupts import INTERRUPT_SIGNAL, Interrupts
from orchord_workers.mending import Mender
from orchord_workers.persistence import patiently
from orchord_workers.process import WorkerProcess
from orchord_workers.stopping import GRACE_SECONDS, Stopper

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1

# What a container is told to stop by (docker stop, a pod's deletion, a spot machine's end) or a person at a terminal.
TOLD_TO_STOP = (signal.SIGTERM, signal.SIGINT)
# Docker gives ten seconds from SIGTERM to SIGKILL: what is left is for the database.
STOP_SECONDS = 6.0
# The row of a container that lives. Without it, as after `retire`, one that is gone reads as one that was stopped.
HOSTING = ("$hosting",)


class Child:
    """What the child knows of its parent."""

    def __init__(self, ready: int, told: mmap.mmap, parent_id: int) -> None:
        self._ready = ready
        self._told = told
        self.process_id = os.getpid()
        self.parent_id = parent_id

    def wait_for_parent(self) -> None:
        """Wait until the database has this container's first sign of life."""
        os.read(self._ready, 1)

    def is_leaving(self) -> bool:
        """Whether the container was told to stop."""
        return self._told[0] != 0


Body = Callable[[WorkerProcess, Child], int]


class Host:
    """One child, and who looks after it.

    Args:
        settings: Where the instance lives.
        location: The code location.
        run_id: What run it is about.
        worker_id: The identity under which attempts are held here.
        is_whole_run: Whether the child carries the run out as a whole: who started the container has it go on then.
    """

    def __init__(
        self, settings: Settings, location: str, run_id: str, *, worker_id: str, is_whole_run: bool = False
    ) -> None:
        self.settings = settings
        self.location = location
        self.run_id = run_id
        self.worker_id = worker_id
        self.is_whole_run = is_whole_run
        self.interrupts = Interrupts(Board())
        self._told = mmap.mmap(-1, 1)
        self._killed_at: float | None = None

    def run(self, body: Body) -> int:
        """Fork a child for ``body``, look after it, and return the exit code."""
        ready, say_ready = os.pipe()
        waited = {signal.SIGCHLD, *TOLD_TO_STOP}
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        memory = MemoryKills.seen_now()
        sys.stdout.flush()
        sys.stderr.flush()
        own_id = os.getpid()
        child = os.fork()
        if child == 0:
            os.close(say_ready)
            self._be_child(body, Child(ready, self._told, own_id), waited)
        os.close(ready)
        try:
            return self._look_after(child, say_ready, waited, memory)
        except BaseException:
            # Nobody would hear of its end, nor stop it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)

    def _be_child(self, body: Body, child: Child, waited: set[signal.Signals]) -> None:
        """Do the work and end the process: nothing of the parent's is to run in the child as well."""
        code = 1
        try:
            signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
            end_process_of_stuck_steps()
            end_with_parent(child.parent_id)
            self.interrupts.board.take_place(0)
            code = self._worked(body, child)
        except OrchordError as error:
            logger.error("%s", error)
        except BaseException:  # noqa: BLE001 - the process ends here, and there is nobody above
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _worked(self, body: Body, child: Child) -> int:
        process = self._process(child.is_leaving)
        try:
            return body(process, child)
        finally:
            process.close()

    def _process(self, is_leaving: Callable[[], bool] = lambda: False) -> WorkerProcess:
        config = OrchordInstance.from_home(self.settings, tells=False).config
        return WorkerProcess(
            make_app(config.celery, location=self.location),
            self.settings,
            None,
            worker_id=self.worker_id,
            # Every step is sent as a message of its own: the next one has a container of its own too.
            is_watched=lambda: True,
            interrupts=self.interrupts,
            is_leaving=is_leaving,
        )

    @cached_property
    def process(self) -> WorkerProcess:
        """The parent's own connections, made after the fork."""
        return self._process()

    def _look_after(self, child: int, say_ready: int, waited: set[signal.Signals], memory: MemoryKills) -> int:
        instance = self.process.instance
        limit = instance.config.run_monitoring.cancel_timeout_seconds or GRACE_SECONDS
        stopper = Stopper(instance, self.interrupts, self.worker_id, min(GRACE_SECONDS, limit))
        beat = Heartbeat(instance.storage, self.worker_id, self.location, HOSTING, lambda: _quietly(stopper.look))
        patiently(beat.start)
        with contextlib.suppress(BrokenPipeError):
            os.write(say_ready, b"1")
        os.close(say_ready)
        shipper = self._shipper(instance)
        try:
            status = self._waited_for(child, waited, beat)
            return self._end(child, status, memory)
        finally:
            if shipper is not None:
                shipper.stop()
            beat.stop()
            self.process.close()

    def _shipper(self, instance: OrchordInstance) -> Shipper | None:
        """Begin to ship what the child prints; where that cannot be, the step is not lost for it."""
        try:
            shipper = log_shipper(instance, self.worker_id)
            if shipper is not None:
                shipper.start()
            return shipper
        except OSError as error:
            logger.warning("What is printed here is not shown elsewhere: %s", error)
            return None

    def _waited_for(self, child: int, waited: set[signal.Signals], beat: Heartbeat) -> int:
        """Return the child's wait status. Adopted processes are reaped too: this may be a container's first process."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1 << 8
            if ended == child:
                return status
            if ended:
                continue
            came = signal.sigtimedwait(waited, 0.5)
            if came is not None and came.si_signo in TOLD_TO_STOP:
                self._tell_to_stop(child, beat, signal.Signals(came.si_signo).name)
            if self._killed_at is not None and time.monotonic() >= self._killed_at:
                os.kill(child, signal.SIGKILL)

    def _tell_to_stop(self, child: int, beat: Heartbeat, word: str) -> None:
        if self._killed_at is not None:
            return
        logger.info("Stopping, by %s: what is under way is run again elsewhere, unless its run was canceled", word)
        # Written by the next beat. What is killed from now on was not killed by its step.
        beat.retire()
        self._told[0] = 1
        self._killed_at = time.monotonic() + STOP_SECONDS
        busy = [one for one in self.interrupts.board.busy() if one.process_id == child]
        if not busy:
            os.kill(child, signal.SIGTERM)
        for one in busy:
            self.interrupts.interrupt(one)

    def _end(self, child: int, status: int, memory: MemoryKills) -> int:
        """Attend to what the child left. Returns this process's exit code."""
        code = os.waitstatus_to_exitcode(status)
        is_leaving = self._told[0] != 0
        if code == 0 and not is_leaving:
            return 0
        # Looked at before anything else has happened in the container.
        by_kernel = code == -signal.SIGKILL and not is_leaving and memory.has_grown()
        death = Death(child, code, is_leaving, by_kernel, memory.limit_bytes)
        mender = Mender(self.process.runner)
        try:
            held = patiently(lambda: attend_to(mender, self.interrupts.board, self.worker_id, death))
            if not self.is_whole_run:
                mender.mend_run(self.run_id)
        except BrokerUnavailableError as error:
            logger.warning("Left what follows in run %s to the monitor: %s", self.run_id, error)
            return 0
        return 0 if held or code == 0 else code if code > 0 else 128 - code


def end_with_parent(parent_id: int) -> None:
    """Have the kernel end this process when its parent is gone (Linux): outside a container nobody else would."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_id:
            os.kill(os.getpid(), signal.SIGKILL)


def _quietly(look: Callable[[], int]) -> None:
    try:
        look()
    except OrchordError as error:
        logger.warning("Did not look whether to stop: %s", error)
