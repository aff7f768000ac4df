"""Whether the kernel has killed for memory in this process's control group: counters read before and after a step.

What a kill means for a step is ends.py. Where there are no control groups, nothing is known.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES = 1 << 60


def memory_kills(own: Path = Path("/proc/self/cgroup"), root: Path = _ROOT) -> int | None:
    """Return how many processes of this control group the kernel has killed for memory; None: not known."""
    for folder in _folders(own, root):
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError, ValueError):
                fields = dict(line.split() for line in (folder / name).read_text().splitlines())
                if "oom_kill" in fields:
                    return int(fields["oom_kill"])
    return None


def memory_limit(own: Path = Path("/proc/self/cgroup"), root: Path = _ROOT) -> str:
    """Word the memory limit of this control group."""
    for folder in _folders(own, root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limit = int((folder / name).read_text())
                if limit < _UNLIMITED_BYTES:
                    return f"limit {limit / 2**20:.0f} MiB"
    return "the machine's memory ran out"


def _folders(own: Path, root: Path) -> list[Path]:
    """Return where the files of this control group may be: version 2, then version 1, then as a container sees them."""
    found = []
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                found.append(root / path.lstrip("/"))
            elif "memory" in controllers.split(","):
                found.append(root / "memory" / path.lstrip("/"))
    return [*found, root, root / "memory"]
