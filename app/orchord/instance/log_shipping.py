"""What steps of this process or its children print, tied to an instance: announced, shipped, and seen from elsewhere.

How it is done is in compute_logs/; how one attempt is followed, printed.py.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchord.compute_logs.live import LivePages, LiveWrite
from orchord.compute_logs.manager import ComputeLogManager, LogChunk
from orchord.compute_logs.shipping import Shipper
from orchord.compute_logs.streams import StreamName
from orchord.errors import UnavailableError
from orchord.instance.launchers import RunLauncher
from orchord.instance.plugins import LIVE_PAGES, load_class

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

PIECE_BYTES = 1 << 20

logger = logging.getLogger(__name__)


def announce_logs(instance: OrchordInstance, owner: str) -> None:
    """Let this process leave word of what its steps print into, for the shipper of ``owner``."""
    files = instance.compute_log_manager.files_to_ship()
    if files is not None:
        files.announce_as(owner)


def log_shipper(instance: OrchordInstance, owner: str, *, shows: bool = True) -> Shipper | None:
    """Return what ships the logs of a worker, not yet started; None where nothing is to be shipped.

    Args:
        instance: the shipping process's.
        owner: the worker's identity, as ``announce_logs`` got it.
        shows: whether lines are shown to readers on other machines at once.
    """
    manager = instance.compute_log_manager
    live = manager.live if shows else None
    if manager.files_to_ship() is None or (live is None and not manager.takes_files):
        return None
    return Shipper(manager, owner, live)


def keep_what_is_live(
    instance: OrchordInstance, run_id: str, step_key: str | None = None, attempt: int | None = None
) -> int:
    """Keep for good what attempts printed whose machine is gone, as far as it was shown live.

    Args:
        instance: whose compute log manager keeps it.
        run_id: the run.
        step_key: only this step's attempts.
        attempt: only this attempt: others of the step may go on elsewhere.

    Returns:
        How many streams there were. One that is kept already stays as it is.
    """
    manager = instance.compute_log_manager
    if manager.live is None:
        return 0
    kept = 0
    try:
        for name in manager.live.of_run(run_id):
            if step_key in (None, name.step_key) and attempt in (None, name.attempt):
                data = _all_of(manager, name)
                manager.keep_bytes(name, data)
                if manager.takes_files:
                    # Else they were kept in a folder of this machine, which need not be that of the readers.
                    manager.live.drop([name])
                kept += 1
    except (UnavailableError, OSError) as error:
        logger.warning("What steps of run %s printed on a machine that is gone is not kept: %s", run_id, error)
    return kept


def _all_of(manager: ComputeLogManager, name: StreamName) -> bytes:
    pieces: list[bytes] = []
    offset = 0
    while True:
        chunk = manager.read(name.run_id, name.step_key, name.attempt, name.stream, offset, PIECE_BYTES)
        if chunk.next_offset <= offset:
            return b"".join(pieces)
        pieces.append(chunk.data)
        offset = chunk.next_offset


class LivePagesOnDemand(LivePages):
    """Loads the live pages of an instance when they are first asked for: most processes never do.

    Args:
        instance: whose.
    """

    def __init__(self, instance: OrchordInstance) -> None:
        self._instance = instance
        self._loaded: LivePages | None = None

    @property
    def _pages(self) -> LivePages:
        if self._loaded is None:
            config = self._instance.config
            launcher = load_class(config.run_launcher, RunLauncher)  # type: ignore[type-abstract]
            if not launcher.shows_live_logs:
                self._loaded = NoLivePages()
            else:
                module, _, name = LIVE_PAGES.partition(":")
                self._loaded = getattr(importlib.import_module(module), name)(config.celery)
        return self._loaded

    @property
    def shows_other_machines(self) -> bool:
        """Whether the instance's launcher goes with live pages."""
        return self._pages.shows_other_machines

    def write(self, writes: Sequence[LiveWrite]) -> None:
        """Store pieces."""
        self._pages.write(writes)

    def read(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return up to ``limit`` bytes; None when nothing is known of the stream."""
        return self._pages.read(name, offset, limit)

    def drop(self, names: Sequence[StreamName]) -> None:
        """Forget streams."""
        self._pages.drop(names)

    def drop_run(self, run_id: str) -> None:
        """Forget every stream of a run."""
        self._pages.drop_run(run_id)

    def of_run(self, run_id: str) -> list[StreamName]:
        """Return the streams of a run that something is known of."""
        return self._pages.of_run(run_id)

    def dispose(self) -> None:
        """Give back connections."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.dispose()


class NoLivePages(LivePages):
    """Knows of nothing: for launchers without a broker."""

    @property
    def shows_other_machines(self) -> bool:
        """Nothing is seen here."""
        return False

    def write(self, writes: Sequence[LiveWrite]) -> None:
        """Drop the pieces."""

    def read(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return None."""
        return None

    def drop(self, names: Sequence[StreamName]) -> None:
        """Do nothing."""

    def drop_run(self, run_id: str) -> None:
        """Do nothing."""

    def of_run(self, run_id: str) -> list[StreamName]:
        """Return nothing."""
        return []


def connected(instance: OrchordInstance, manager: ComputeLogManager) -> ComputeLogManager:
    """Return a compute log manager that reads what is printed on other machines too."""
    if manager.keeps_logs:
        manager.live = LivePagesOnDemand(instance)
        files = manager.files_to_ship()
        if files is not None:
            files.live = manager.live
    return manager
