"""The thread that takes what steps print away from their machine: to the live pages at once, to the store later.

It runs in a process that holds no user code where there is one (a worker's parent), so that a step that holds the
interpreter's lock, or is killed, is shown all the same. What it finds files by is spool.py.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time

from orchord.compute_logs.keeping import Done, Keeper, Task
from orchord.compute_logs.live import LivePages
from orchord.compute_logs.manager import ComputeLogManager
from orchord.compute_logs.spool import SPOOL_FOLDER, SpoolFolder, other_folders
from orchord.compute_logs.streams import StreamName
from orchord.compute_logs.tail import PIECE_BYTES, Tail
from orchord.errors import UnavailableError

LOOK_SECONDS = 0.15
ADOPT_SECONDS = 15.0
#: A running step's file is uploaded early when so much of it is live alone.
EARLY_UPLOAD_BYTES = 4 * 1024 * 1024
LONGEST_RETRY_SECONDS = 60.0
#: How long the end waits for what has ended to be kept; what is not is adopted by the next worker of the machine.
END_SECONDS = 20.0
#: Between two times that the log says the same trouble.
SILENCE_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Shipper:
    """Ships the files of one worker, and those that dead workers of its machine left.

    Args:
        manager: whose files they are.
        owner: the worker's identity.
        live: where lines are shown from at once; None: nowhere.
    """

    def __init__(self, manager: ComputeLogManager, owner: str, live: LivePages | None) -> None:
        files = manager.files_to_ship()
        assert files is not None, "asked before"
        self._max_bytes = files.max_bytes
        self._upload_interval = manager.upload_interval
        self._own = SpoolFolder(os.path.join(files.base_dir, SPOOL_FOLDER, owner))
        self._own.take(make=True)
        self._folders = [self._own]
        self._live = live
        self._keeper = Keeper(manager) if manager.takes_files else None
        self._tails: dict[str, Tail] = {}
        self._tasks: dict[int, tuple[Tail, Task]] = {}
        self._numbers = itertools.count()
        self._live_again_at = 0.0
        self._adopt_at = 0.0
        self._quiet_until = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ship, in a thread."""
        self._thread = threading.Thread(target=self._run, name="orchord-log-shipper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ship what there is, for a while, and end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS * 2)
            self._thread = None

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self._round_safely()
        end_at = time.monotonic() + END_SECONDS
        self._round_safely(is_last=True)
        while self._tails and time.monotonic() < end_at and not all(tail.failures for tail in self._tails.values()):
            time.sleep(LOOK_SECONDS)
            self._round_safely(is_last=True)
        for tail in self._tails.values():
            tail.close(forget=False)
        if self._keeper is not None:
            self._keeper.close()
        for folder in self._folders:
            folder.close()

    def _round_safely(self, *, is_last: bool = False) -> None:
        try:
            self.round(is_last=is_last)
        except Exception:  # boundary: our own faults; one file that cannot be read must not end the shipping of all
            if self._may_complain():
                logger.exception("What steps print cannot be shipped")

    def round(self, *, is_last: bool = False) -> None:
        """Look once at everything, and ship what is new."""
        if time.monotonic() >= self._adopt_at and not is_last:
            self._adopt_at = time.monotonic() + ADOPT_SECONDS
            self._adopt()
        for folder in self._folders:
            # Another worker may have had it in hand in the moment when it came into being, and gives it back.
            if not folder.is_taken and not folder.take(make=True):
                continue
            for entry, path in folder.entries(self._tails).items():
                if (name := StreamName.of_path(path)) is not None:
                    self._tails[entry] = Tail(entry, path, name, self._max_bytes)
        for tail in self._tails.values():
            tail.look(is_last=is_last)
        self._show()
        if self._keeper is not None:
            self._keep(self._keeper)
        self._forget(is_last=is_last)

    def _adopt(self) -> None:
        for path in other_folders(self._own.folder):
            if any(folder.folder == path for folder in self._folders):
                continue
            folder = SpoolFolder(path)
            if folder.take():
                self._folders.append(folder)
        for folder in self._folders[1:]:
            if not folder.entries():
                folder.close()
                self._folders.remove(folder)

    def _show(self) -> None:
        if self._live is None or time.monotonic() < self._live_again_at:
            return
        pieces = [(tail, piece) for tail in self._tails.values() if (piece := tail.next_piece()) is not None]
        while pieces:
            batch = [pieces.pop()]
            while pieces and sum(len(piece.data) for _, piece in batch) < PIECE_BYTES:
                batch.append(pieces.pop())
            try:
                self._live.write([piece for _, piece in batch])
            except UnavailableError as error:
                self._live_again_at = time.monotonic() + 1.0
                if self._may_complain():
                    logger.warning("What steps print is shown later: %s", error)
                return
            for tail, piece in batch:
                tail.shown(piece)

    def _keep(self, keeper: Keeper) -> None:
        for one in keeper.done():
            self._note(one)
        now = time.monotonic()
        for tail in self._tails.values():
            if tail.task is not None or tail.is_gone or now < tail.retry_at or not self._is_due(tail, now):
                continue
            tail.task = next(self._numbers)
            tail.kept, tail.kept_at = tail.size, now
            task = Task(tail.task, tail.name, tail.path, tail.is_ended)
            self._tasks[tail.task] = tail, task
            keeper.give(task)

    def _is_due(self, tail: Tail, now: float) -> bool:
        if tail.is_ended:
            return True
        new_bytes = tail.size - tail.kept
        is_time = self._upload_interval is not None and now - tail.kept_at >= self._upload_interval
        return new_bytes >= EARLY_UPLOAD_BYTES or (new_bytes > 0 and is_time)

    def _note(self, done: Done) -> None:
        tail, task = self._tasks.pop(done.number)
        tail.task = None
        if done.error is None:
            tail.failures = 0
            # Not by whether it has ended by now: what was uploaded may have been all but its last words.
            tail.is_gone = task.is_complete
            return
        if tail.was_removed():
            tail.is_gone = True
            return
        tail.failures += 1
        tail.kept = 0
        tail.retry_at = time.monotonic() + min(2.0**tail.failures, LONGEST_RETRY_SECONDS)
        if self._may_complain():
            logger.warning("What step %s printed is uploaded later: %s", tail.name.step_key, done.error)

    def _forget(self, *, is_last: bool) -> None:
        """Let go of what is shipped as far as it can be."""
        kept: list[StreamName] = []
        for entry, tail in list(self._tails.items()):
            is_kept = tail.is_gone if self._keeper is not None else tail.is_gone or tail.is_ended
            is_shown = self._live is None or tail.is_shown or tail.is_gone
            if is_last and not tail.is_ended:
                # Somebody prints still: a child that was left behind. Another worker finds it.
                tail.close(forget=False)
                del self._tails[entry]
            elif is_kept and is_shown:
                tail.close(forget=True)
                del self._tails[entry]
                if self._keeper is not None and tail.is_ended:
                    kept.append(tail.name)
            elif tail.is_ended and is_shown:
                # It waits for a store, maybe for hours, and is opened by name there.
                tail.release()
        if kept and self._live is not None:
            try:
                self._live.drop(kept)
            except UnavailableError:
                # They go by their age; the store is the truth from now on.
                logger.debug("Live pages of %s streams are left to their age", len(kept))

    def _may_complain(self) -> bool:
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + SILENCE_SECONDS
        return True
