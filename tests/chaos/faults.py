"""What goes wrong, by a seeded script: each fault is one function of a stack; the script draws them one after another.

How long the system took to recover is read from the database afterwards, in verdict.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psycopg2
from stack import Stack, wait_until
from supervised import children_of, descendants_of


@dataclass
class Injected:
    """One fault that was done: when, to which processes, and when the hand was taken away again (epoch seconds)."""

    kind: str
    at: float
    over_at: float
    processes: tuple[int, ...] = ()
    note: str = ""


def kill_child(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL the process in which steps run, as the kernel's out-of-memory killer does."""
    children = [child for worker in stack.workers for child in stack.pool_children(worker)]
    if not children:
        return ()
    with contextlib.suppress(psycopg2.Error):
        # Rather one that works than one that idles.
        busy = {pid for (pid,) in stack.rows("SELECT process_id FROM attempts WHERE status = 'RUNNING'")}
        children = [child for child in children if child in busy] or children
    victim = rng.choice(sorted(children))
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return (victim,)


def kill_tick_process(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL one of the processes that evaluate schedules and sensors, or the one that those are forked from."""
    pids = [worker.pid for worker in stack.workers if worker.pid is not None]
    parents = [child for pid in pids for child in children_of(pid) if children_of(child)]
    ticking = [process for parent in parents for process in (parent, *descendants_of(parent))]
    if not ticking:
        return ()
    victim = rng.choice(sorted(ticking))
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return (victim,)


def kill_worker(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL a worker with all its children, as when a machine is gone."""
    return tuple(rng.choice(stack.workers).send(signal.SIGKILL, whole_group=True))


def kill_worker_parent(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL a worker's main process alone: its children must not go on as ghosts."""
    worker = rng.choice(stack.workers)
    children = stack.pool_children(worker)
    return (*worker.send(signal.SIGKILL), *children)


def restart_worker(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGTERM a worker, as a deployment does."""
    return tuple(rng.choice(stack.workers).send(signal.SIGTERM))


def kill_leader(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL the daemon that leads."""
    return tuple(stack.leader().send(signal.SIGKILL, whole_group=True))


def kill_api(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL the API server with requests in flight."""
    return tuple(stack.api.send(signal.SIGKILL, whole_group=True))


def kill_broker(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGKILL the broker; it comes back empty, on the same port."""
    starts = stack.broker.starts
    hit = stack.broker.send(signal.SIGKILL)
    wait_until(lambda: stack.broker.starts > starts, 10)
    return tuple(hit)


def pause_broker(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGSTOP the broker for 2 to 6 seconds: it neither answers nor refuses."""
    stack.broker.pause(rng.uniform(2, 6))
    return ()


def pause_postgres(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """SIGSTOP Postgres, all of its processes, for ten seconds."""
    stack.postgres.pause(10)
    return ()


def restart_postgres(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """Immediate stop of Postgres: every connection breaks, and it recovers from its log when it comes back."""
    hit = stack.postgres.send(signal.SIGQUIT)
    wait_until(lambda: stack.postgres.pid not in (None, *hit) and stack.database_answers(), 30)
    return tuple(hit)


def hold_messages(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """Let no byte to or from the broker pass for 3 to 8 seconds."""
    seconds = rng.uniform(3, 8)
    stack.proxy.hold(seconds)
    threading.Event().wait(seconds)
    return ()


def delay_messages(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """Delay every piece to and from the broker by up to 0.3 s for five seconds."""
    stack.proxy.delay(0.3)
    threading.Event().wait(5)
    stack.proxy.delay(0)
    return ()


def cut_connections(stack: Stack, rng: random.Random) -> tuple[int, ...]:
    """Break every connection to the broker at once, as a restarted load balancer does."""
    stack.proxy.cut()
    return ()


# Kind -> (what is done, how often it is drawn).
FAULTS: Mapping[str, tuple[Callable[[Stack, random.Random], tuple[int, ...]], int]] = {
    "pool child killed": (kill_child, 4),
    "tick process killed": (kill_tick_process, 2),
    "worker killed": (kill_worker, 2),
    "worker's main process killed": (kill_worker_parent, 1),
    "worker restarted": (restart_worker, 1),
    "leading daemon killed": (kill_leader, 2),
    "API killed": (kill_api, 2),
    "broker killed, back empty": (kill_broker, 2),
    "broker frozen": (pause_broker, 1),
    "Postgres frozen 10 s": (pause_postgres, 1),
    "Postgres crashed": (restart_postgres, 1),
    "messages held": (hold_messages, 1),
    "messages delayed": (delay_messages, 1),
    "connections cut": (cut_connections, 1),
}


@dataclass
class Script:
    """Draws faults until it is told to stop. Each kind comes once before any comes twice more than its weight says.

    Args:
        only: the kinds to draw from; default: all.
        pause_seconds: the bounds of the time between two faults.
    """

    stack: Stack
    seed: int
    only: tuple[str, ...] = ()
    pause_seconds: tuple[float, float] = (0.5, 2.5)
    done: list[Injected] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, when the fault at hand is over."""
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        rng = random.Random(f"faults.{self.seed}")
        deck: list[str] = []
        while not self._stop.wait(rng.uniform(*self.pause_seconds)):
            if not deck:
                deck = [kind for kind, (_, weight) in FAULTS.items() for _ in range(weight) if self._is_wanted(kind)]
                rng.shuffle(deck)
            kind = deck.pop()
            at = time.time()
            try:
                hit = FAULTS[kind][0](self.stack, rng)
            except Exception as error:  # noqa: BLE001 - a fault of this harness, which the verdict shows
                self.errors.append(f"{kind}: {error!r}")
                continue
            self.done.append(Injected(kind, at, time.time(), hit))

    def _is_wanted(self, kind: str) -> bool:
        return not self.only or any(wanted in kind for wanted in self.only)
