"""Whether the kernel has killed for memory in this process's control group: counted before a process runs, and after.

What a kill means for a step is ends.py, for what a container held orchord_workers.hosting. Where there are no control
groups, nothing is known.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# A limit this large is how version 1 says that there is none.
_NO_LIMIT = 1 << 60
# The kernel may count a kill a moment after the process is gone.
_COUNTED_WITHIN_SECONDS = 0.2
_NAMES = (("memory.events", "memory.max"), ("memory.oom_control", "memory.limit_in_bytes"))


@dataclass(frozen=True)
class MemoryKills:
    """How many kills there were, by which file.

    Attributes:
        file: where they are counted; None: nothing can be known here.
        count: how many there were.
        limit_bytes: the control group's memory limit, if there is one.
    """

    file: Path | None
    count: int
    limit_bytes: int | None

    @classmethod
    def seen_now(cls, root: Path = _ROOT, membership: Path = Path("/proc/self/cgroup")) -> MemoryKills:
        """Read the count of this process's own group: version 2's, or version 1's."""
        for folder in _folders(root, membership):
            for events, limit in _NAMES:
                count = _count(folder / events)
                if count is not None:
                    return cls(folder / events, count, _limit(folder / limit))
        return cls(None, 0, None)

    @property
    def limit_words(self) -> str:
        """The memory limit, for people."""
        if self.limit_bytes is None:
            return "the machine's memory ran out"
        return f"limit {self.limit_bytes / 2**20:,.0f} MiB"

    def has_grown(self, within_seconds: float = _COUNTED_WITHIN_SECONDS) -> bool:
        """Return whether something was killed since, or is counted in a moment: ask only about what was killed."""
        deadline = time.monotonic() + within_seconds
        while self.file is not None:
            if (_count(self.file) or 0) > self.count:
                return True
            if time.monotonic() >= deadline:
                return False
            threading.Event().wait(0.02)
        return False


def _folders(root: Path, membership: Path) -> list[Path]:
    """Return where this process's group may be: under its path on a host, at the root in a container."""
    folders: list[Path] = []
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders.append(root / path.lstrip("/"))
        elif "memory" in controllers.split(","):
            folders.append(root / "memory" / path.lstrip("/"))
    return [*folders, root, root / "memory"]


def _count(file: Path) -> int | None:
    try:
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def _limit(file: Path) -> int | None:
    try:
        limit = int(file.read_text())
    except (OSError, ValueError):
        return None
    return limit if limit < _NO_LIMIT else None
