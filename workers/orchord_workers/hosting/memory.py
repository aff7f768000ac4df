"""Whether the kernel has killed processes of this container for its memory, as its control group counts them.

What follows from it is deaths.py; what a platform says of a whole container is orchord_workers.containers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# A limit this large is how version 1 says that there is none.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class MemoryKills:
    """How many kills there were, by which file. ``file`` None: nothing can be known here."""

    file: Path | None
    count: int
    limit_bytes: int | None

    @classmethod
    def seen_now(cls, root: Path = _ROOT, membership: Path = Path("/proc/self/cgroup")) -> MemoryKills:
        """Read the count of this process's own group: version 2's, or version 1's."""
        for folder in _folders(root, membership):
            for events, limit in (("memory.events", "memory.max"), ("memory.oom_control", "memory.limit_in_bytes")):
                count = _count(folder / events)
                if count is not None:
                    return cls(folder / events, count, _limit(folder / limit))
        return cls(None, 0, None)

    def has_grown(self) -> bool:
        """Return whether something was killed since."""
        return self.file is not None and (_count(self.file) or 0) > self.count


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
            folders += [root / path.lstrip("/"), root]
        elif "memory" in controllers.split(","):
            folders += [root / "memory" / path.lstrip("/"), root / "memory"]
    return folders


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
