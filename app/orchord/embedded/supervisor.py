"""What ``orchord dev`` does while it runs: starts what has ended, and starts workers anew when their code changed.

Code that does not load never takes the stack down: the worker that serves the last good code goes on.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchord.embedded.stack import Ended, Stack

#: A worker ends with this code when its user's code does not load: starting it again would change nothing.
CODE_DOES_NOT_LOAD = 2
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
#: A process that lived so long had started well: the next pause is the first one again.
SETTLED_SECONDS = 30.0


@dataclass
class _Service:
    arguments: Sequence[str]
    is_worker: bool = False
    checks: Sequence[str] = ()
    pause_seconds: float = FIRST_PAUSE_SECONDS
    start_at: float | None = None
    check: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps the services of a stack running.

    Args:
        stack: where they run.
        say: is given each sentence for the user.
        clock: monotonic seconds.
    """

    def __init__(self, stack: Stack, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = stack
        self._say = say
        self._clock = clock
        self._services: dict[str, _Service] = {}

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """Start a service that runs as ``orchord ARGUMENTS``."""
        self._services[name] = _Service(arguments)
        self._stack.start(name, arguments)

    def add_worker(self, name: str, arguments: Sequence[str], checks: Sequence[str]) -> None:
        """Start a worker. ``orchord CHECKS`` ends with 0 when its code loads."""
        self._services[name] = _Service(arguments, is_worker=True, checks=checks)
        self._stack.start(name, arguments)

    def code_changed(self) -> None:
        """Look again at the code of every worker: check it while the old one goes on, or start one that had ended."""
        for name, service in self._services.items():
            if not service.is_worker:
                continue
            if name in self._stack.names():
                self._begin_check(service)
            else:
                service.start_at = self._clock()

    def look(self) -> list[Ended]:
        """Do what is due: notice ends and finished checks, start what waits. Returns the ends that were noticed."""
        ends = self._stack.ended()
        for end in ends:
            self._ended(end)
        for name, service in self._services.items():
            self._look_at_check(name, service)
            if service.start_at is not None and self._clock() >= service.start_at and name not in self._stack.names():
                service.start_at = None
                self._stack.start(name, service.arguments)
        return ends

    def close(self) -> None:
        """Stop checks that run. The services themselves are the stack's to stop."""
        for service in self._services.values():
            if service.check is not None:
                service.check.kill()
                service.check.wait()
                service.check = None

    def _ended(self, end: Ended) -> None:
        service = self._services[end.name]
        if service.is_worker and end.code == CODE_DOES_NOT_LOAD:
            self._say(f"The code of {end.name} does not load. It is tried again when a file changes.")
            return
        if end.lived_seconds >= SETTLED_SECONDS:
            service.pause_seconds = FIRST_PAUSE_SECONDS
        self._say(
            f"The {end.name} has ended ({_ending(end.code)}). It is started again in {service.pause_seconds:g} s."
        )
        service.start_at = self._clock() + service.pause_seconds
        service.pause_seconds = min(service.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _begin_check(self, service: _Service) -> None:
        if service.check is not None:
            service.check.kill()
            service.check.wait()
        service.check = self._stack.run_once(service.checks)

    def _look_at_check(self, name: str, service: _Service) -> None:
        if service.check is None:
            return
        code = service.check.poll()
        if code is None:
            return
        service.check = None
        if code != 0:
            self._say(f"The new code of {name} does not load: the code from before goes on.")
            return
        if name in self._stack.names():
            self._stack.retire(name)
        self._stack.start(name, service.arguments)
        self._say(f"The code of {name} has changed and was loaded anew.")


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
