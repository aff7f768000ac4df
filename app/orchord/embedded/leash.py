"""The leash: a small process that ends the stack's processes when the one that supervises them is gone.

Run as a script, by the bare interpreter, with the standard library alone. It reads one line per order from standard
input (``+ GROUP``, ``- GROUP``, ``rm FOLDER``); the end of input means that the supervisor has ended. Ended in good
order, nothing is left to do; killed, the groups on the leash are asked to stop, then killed, and folders removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 5.0


def hold(orders: Iterable[str]) -> None:
    """Follow orders until they end, then end what is still on the leash."""
    groups: list[int] = []
    folders: list[str] = []
    for order in orders:
        verb, _, what = order.strip().partition(" ")
        if verb == "+":
            groups.append(int(what))
        elif verb == "-" and int(what) in groups:
            groups.remove(int(what))
        elif verb == "rm":
            folders.append(what)
    end_groups(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end_groups(groups: Iterable[int], grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask each process group to stop; kill those that are there when the grace is over."""
    left = [group for group in groups if _send(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace_seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if _send(group, 0)]
    for group in left:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    hold(sys.stdin)
