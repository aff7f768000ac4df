"""The port of a platform for containers: start, stop, list and watch, with labels that say whose they are.

A platform knows nothing of runs beyond the labels; what the end of a container means is orchord_workers.launching's.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# On everything that Orchord starts: `orchord/owner` is the instance (several may share an engine or a cluster).
OWNER_LABEL = "orchord/owner"
RUN_LABEL = "orchord/run_id"
STEP_LABEL = "orchord/step_key"
ATTEMPT_LABEL = "orchord/attempt"
JOB_LABEL = "orchord/job"
LOCATION_LABEL = "orchord/location"


# How the end of a container reads that was made and that nobody starts any more.
NEVER_STARTED = "it was made, but never started"


class Phase(StrEnum):
    """Where a container stands. GONE: it was removed, by whomever, and its exit code is not known."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    GONE = "GONE"


@dataclass(frozen=True)
class ContainerSpec:
    """What is to run.

    Attributes:
        name: the same for every try at starting the same thing: a second start of a name changes nothing.
        command: the program and its arguments.
        labels: whose it is. On Kubernetes, values that are no label values are kept as annotations.
        environment: variables that Orchord itself sets.
        image: the image; None: the settings name it.
        layers: settings of the platform, in the platform's own keys, the strongest last: the launcher's config, the
            executor's config, the op's tags. The platform merges them.
        instance_file: the text of the instance file, its references to variables not replaced. A platform that can
            lays it into the container if neither image nor settings say where the instance lives.
    """

    name: str
    command: Sequence[str]
    labels: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    layers: Sequence[Mapping[str, Any]] = ()
    instance_file: str | None = None


@dataclass(frozen=True)
class ContainerState:
    """What a platform says of a container.

    Attributes:
        name: as in its spec.
        labels: as in its spec.
        phase: where it stands.
        exit_code: its exit code, once it has ended and where it is known.
        out_of_memory: whether the kernel killed it for its memory.
        reason: the platform's words, such as ``OOMKilled``, ``ImagePullBackOff: ...``, ``DeadlineExceeded``.
        cannot_start: it is pending, and the platform says that it will stay so (no such image, bad config).
        memory_limit_bytes: how much memory it may have, where that is known and limited.
        is_kept: it is to stay when it has ended, for people to look at: its settings say so.
        is_unstarted: it is made, and nobody but who made it will start it.
    """

    name: str
    labels: Mapping[str, str]
    phase: Phase
    exit_code: int | None = None
    out_of_memory: bool = False
    reason: str = ""
    cannot_start: bool = False
    memory_limit_bytes: int | None = None
    is_kept: bool = False
    is_unstarted: bool = False


class PlatformError(Exception):
    """The platform refused, or cannot do it.

    Attributes:
        is_passing: trying again later may help: it cannot be reached, or is overloaded.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class Platform(ABC):
    """One engine, cluster or service. Safe for threads."""

    @abstractmethod
    def start(self, spec: ContainerSpec) -> None:
        """Start a container, unless one of that name is there already (then nothing happens).

        Raises:
            PlatformError: it is not started; the message says what was refused, and the fix.
        """

    @abstractmethod
    def stop(self, name: str, grace_seconds: float) -> None:
        """Ask a container to end (SIGTERM), and kill it after a grace time. One that is not there is no error."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Take away what is left of a container that has ended. One that is not there is no error."""

    @abstractmethod
    def list(self, owner: str) -> list[ContainerState]:
        """Return every container of an owner that has not been removed."""

    @abstractmethod
    def watch(self, owner: str, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        """Tell of each change until ``stopped`` is set: one connection for all containers, no polling.

        Begins with the state of all that are there. A connection that is lost is made again, with what happened in
        between told of: the platform's list is compared. Called in a thread of its own; raises nothing.
        """

    @abstractmethod
    def tail(self, name: str, lines: int) -> str:
        """Return the last lines that a container wrote; empty where they cannot be had."""

    def close(self) -> None:  # noqa: B027 - a platform may hold nothing open
        """Give back connections; ends ``watch`` soon, if it goes on."""
