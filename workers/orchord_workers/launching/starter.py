"""From a message to a container: the attempt is reserved, the container started, and that is all a message costs.

What becomes of the container afterwards is its own (hosting/) and the watchman's (watchman.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from celery import Celery

from orchord.spi import (
    CONTAINER_NAME_VARIABLE,
    LAUNCH_TOKEN_VARIABLE,
    AttemptStatus,
    ErrorInfo,
    Event,
    EventType,
    LaunchKey,
    NotFoundError,
    OrchordInstance,
    Part,
    PartStatus,
    Place,
    Run,
    RunStatus,
    SkipStep,
    Step,
    StepMessage,
    executor_config,
    gates_of,
    place_of,
    utc_now,
)
from orchord_workers.canvas import Canvas
from orchord_workers.containers.platform import ContainerSpec, ContainerState, Platform, PlatformError
from orchord_workers.contexts import RunContext, RunContexts
from orchord_workers.endings import publish_end
from orchord_workers.launching.layering import Layers, layers_of_run, layers_of_step
from orchord_workers.launching.naming import labels_of, run_container_name, step_container_name
from orchord_workers.launching.platforms import config_of
from orchord_workers.launching.verdicts import NOT_STARTED
from orchord_workers.launching.watchman import is_live
from orchord_workers.persistence import patiently
from orchord_workers.step_runner import STOPPED, Holder, StepRunner, Work, decided, failed_result, skipped_result

logger = logging.getLogger(__name__)

# A platform that refuses for the moment (away, overloaded) is asked so many times for one step.
MOST_TRIES = 20
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class Started:
    """What the threads of one launcher worker are starting in this moment: not to be judged as missing."""

    keys: dict[LaunchKey, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def going_on(self, key: LaunchKey) -> Iterator[None]:
        """Say that a container is being started while this lasts."""
        with self.lock:
            self.keys[key] = self.keys.get(key, 0) + 1
        try:
            yield
        finally:
            with self.lock:
                self.keys[key] -= 1
                if not self.keys[key]:
                    del self.keys[key]

    @contextmanager
    def first_of(self, key: LaunchKey) -> Iterator[bool]:
        """As ``going_on``, but tells whether nobody else starts this container now: it is for the first alone."""
        with self.lock:
            is_first = key not in self.keys
            if is_first:
                self.keys[key] = 1
        try:
            yield is_first
        finally:
            if is_first:
                with self.lock:
                    del self.keys[key]

    def __contains__(self, key: object) -> bool:
        with self.lock:
            return key in self.keys


class Starter(StepRunner):
    """Starts containers for messages, for one thread of a launcher worker.

    Args:
        instance: The instance.
        app: How further messages are sent.
        worker_id: The launcher worker, as it holds attempts until their containers take them over.
        platforms: The platforms that it speaks to.
        started: What is being started, shared by all threads.
    """

    def __init__(
        self,
        instance: OrchordInstance,
        app: Celery,
        worker_id: str,
        platforms: Mapping[Place, Platform],
        started: Started,
    ) -> None:
        super().__init__(
            instance,
            Canvas(app),
            RunContexts(instance, None),
            # No process of this worker runs the step: whoever does takes the attempt over.
            holder=Holder(worker_id, 0),
            notify_end=lambda run_id, status: publish_end(app, run_id, status),
            may_carry_on=lambda: False,
        )
        self._platforms = platforms
        self._started = started

    def start_step(self, message: StepMessage, parts: Sequence[Part], *, redelivered: bool = False) -> None:
        """Reserve an attempt and start its container. A second copy of a message changes nothing."""
        if any(part.status is PartStatus.FAILED for part in parts):
            self._skip_for_failed_parts(message, parts)
            return
        try:
            context = patiently(lambda: self.contexts.read(message.run_id))
        except NotFoundError as error:
            logger.info("Ignored %s: %s", message.task_id, error)
            return
        with self._started.going_on(LaunchKey(message.run_id, message.step_key, message.attempt)):
            wanted = self.claim_of(message)
            gates = gates_of(executor_config(context.run), context.plan)
            claim = patiently(lambda: self.instance.storage.launches.reserve(wanted, gates))
            if not claim.claimed:
                self._not_claimed(message, claim, redelivered=redelivered)
                return
            self._start_reserved(context, Work(message, tuple(parts), wanted.token))

    def start_run(self, run_id: str, number: int, there: Sequence[ContainerState] = ()) -> None:
        """Start the container of a run that is one unit of work.

        Args:
            run_id: The run.
            number: Which try this is.
            there: The containers that carry this run out, or did and are still there.
        """
        run = self.instance.storage.runs.find(run_id)
        if run is None:
            logger.info("Ignored a message for run %s, which was deleted", run_id)
            return
        key = LaunchKey(run_id, "", 0)
        if run.status.is_terminal or run.status is RunStatus.CANCELING or any(map(is_live, there)):
            logger.info("Ignored a message for run %s: it is %s, or its container runs", run_id, run.status)
            return
        # One that is kept for people to look at keeps its name, and nothing would be started by that.
        taken = {state.name for state in there}
        while run_container_name(run_id, number) in taken:
            number += 1
        # The monitor sends again what has gone quiet, as a run does whose image is being pulled.
        with self._started.first_of(key) as is_first:
            if is_first:
                self._start_run_container(run, number)
            else:
                logger.info("Ignored a message for run %s: its container is being started", run_id)

    def _start_run_container(self, run: Run, number: int) -> None:
        place = Place(run.unit_place)
        name = run_container_name(run.run_id, number)
        try:
            image, target = self._image_and_target(run)
            layers = layers_of_run(run, place, self._launcher_config(run, place), image)
            spec = self._spec(run, name, ["run", "execute", run.run_id, *target], layers)
            self._tell(run, EventType.ENGINE_EVENT, f"Starting {container_words(place, name, layers.image)}.")
            self._platform(place).start(spec)
        except PlatformError as error:
            if error.is_passing:
                raise
            self._fail_run(run, str(error))
        except Exception as error:  # boundary: our own faults, or a client library's; each copy would meet them again
            logger.exception("The container of run %s was not started", run.run_id)
            self._fail_run(run, f"{type(error).__name__}: {error}")

    def _fail_run(self, run: Run, reason: str) -> None:
        fault = ErrorInfo(NOT_STARTED, f"The run's container was not started: {reason}")
        status = patiently(lambda: self.instance.storage.runs.fail(run.run_id, fault, utc_now()))
        if status is not None:
            self.notify_end(run.run_id, status)

    def _start_reserved(self, context: RunContext, work: Work) -> None:
        run, message = context.run, work.message
        step = context.plan.by_key[message.step_key]
        decision = decided(context, message.step_key, work.parts)
        if isinstance(decision, SkipStep):
            self.finish(context, work, skipped_result(decision, utc_now()))
            return
        place = place_of(run.executor, step)
        name = step_container_name(run.run_id, step.key, message.attempt)
        try:
            spec = self._step_spec(run, step, place, name, work)
            words = container_words(place, name, spec.image)
            self._tell(run, EventType.STEP_WORKER_STARTING, f"Starting {words}.", step.key, container=name)
            self._platform(place).start(spec)
        except PlatformError as error:
            self._not_started(context, work, error)
            return
        except Exception as error:  # boundary: our own faults, or a client library's; nobody else ends the attempt
            logger.exception("The container of %s was not started", message.task_id)
            self._not_started(context, work, PlatformError(f"{type(error).__name__}: {error}"))
            return
        self._tell(run, EventType.STEP_WORKER_STARTED, f"Started {words}.", step.key, container=name)

    def _step_spec(self, run: Run, step: Step, place: Place, name: str, work: Work) -> ContainerSpec:
        message = work.message
        image, target = self._image_and_target(run)
        layers = layers_of_step(run, step, place, self._launcher_config(run, place), image)
        number = str(message.attempt)
        command = ["step", "execute", run.run_id, step.key, "--attempt", number, *target]
        return self._spec(run, name, command, layers, message=message, token=work.token)

    def _spec(
        self,
        run: Run,
        name: str,
        command: Sequence[str],
        layers: Layers,
        *,
        message: StepMessage | None = None,
        token: str | None = None,
    ) -> ContainerSpec:
        environment = {CONTAINER_NAME_VARIABLE: name}
        if token is not None:
            environment[LAUNCH_TOKEN_VARIABLE] = token
        named = (message.step_key, message.attempt) if message is not None else ()
        return ContainerSpec(
            name=name,
            command=["orchord", *command],
            labels=labels_of(self.instance.owner_id, run, *named),
            environment=environment,
            image=layers.image,
            layers=layers.layers,
            instance_file=instance_file_of(self.instance),
        )

    def _not_started(self, context: RunContext, work: Work, error: PlatformError) -> None:
        """End an attempt whose container was refused, or have it tried again when that may help."""
        message, token = work.message, work.token
        tries = 1
        if error.is_passing:
            attempts = self.instance.storage.attempts.of_run(message.run_id)
            tries += sum(
                a.step_key == message.step_key and a.error is not None and a.error.cls_name == STOPPED
                for a in attempts
                if a.status is AttemptStatus.LOST
            )
        if not error.is_passing or tries >= MOST_TRIES:
            often = f" It was tried {tries} times." if tries > 1 else ""
            fault = ErrorInfo(
                NOT_STARTED, f"The container of step '{message.step_key}' was not started: {error}{often}"
            )
            self.finish(context, Work(message, work.parts, token), failed_result(message.step_key, fault, utc_now()))
            return
        reason = f"its container could not be started for now: {error}"
        logger.warning("%s: %s", message.task_id, reason)
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (tries - 1), LONGEST_PAUSE_SECONDS)
        run_id, at = message.run_id, utc_now()
        own, store = (run_id, message.step_key, message.attempt), self.instance.storage.attempts
        # Until then the monitor leaves it alone. A container that began though the platform's answer was lost has
        # taken the attempt over, and keeps it.
        after = at + timedelta(seconds=pause)
        lost = patiently(lambda: store.mark_lost(*own, at, reason, kind=STOPPED, token=token, retry_at=after))
        if not lost and not self._is_lost(work):
            return
        step = context.plan.by_key[message.step_key]
        self.slots.freed(step.pool)
        self.slots.freed_in(context.run, context.plan)
        again = StepMessage(run_id, message.step_key, message.attempt + 1, message.retry_number)
        with self._left_to_the_monitor(context.run):
            self.canvas.send_step(context.run, context.plan, again, work.parts, delay_seconds=pause)

    def _is_lost(self, work: Work) -> bool:
        """Whether an attempt was marked as lost under this reservation: the answer to that may itself be lost."""
        own, store = work.message, self.instance.storage.attempts
        found = patiently(lambda: store.find(own.run_id, own.step_key, own.attempt))
        return found is not None and found.status is AttemptStatus.LOST and found.token == work.token

    def _platform(self, place: Place) -> Platform:
        platform = self._platforms.get(place)
        if platform is None:
            raise PlatformError(
                f"This launcher worker does not serve '{place}'. Start `orchord launcher --place {place}`."
            )
        return platform

    def _launcher_config(self, run: Run, place: Place) -> Mapping[str, object]:
        launcher = self.instance.launcher_of(run)
        # A run of workers may have steps elsewhere: there the instance's launcher for that place says how.
        return launcher.config if launcher.place is place else config_of(self.instance, place)

    def _image_and_target(self, run: Run) -> tuple[str | None, tuple[str, ...]]:
        """Return what the location says of both. Patiently: else its step would fail for a database that is away."""
        row = patiently(lambda: self.instance.storage.locations.find(run.location))
        return (row.snapshot.image, row.snapshot.target) if row is not None and row.snapshot is not None else (None, ())

    def _tell(self, run: Run, kind: EventType, text: str, step_key: str | None = None, **data: str) -> None:
        event = Event(kind, utc_now(), text, step_key, data=dict(data))
        patiently(lambda: self.instance.storage.attempts.append_events(run.run_id, [event]))


def container_words(place: Place, name: str, image: str | None) -> str:
    """Return how events name a container."""
    kind = {Place.KUBERNETES: "Kubernetes Job", Place.ECS: "ECS task"}.get(place, "container")
    return f"{kind} {name}" + (f" of image {image}" if image else "")


def instance_file_of(instance: OrchordInstance) -> str | None:
    """Return the text of the instance file as it stands: what it refers to is read where it is used."""
    file: Path | None = instance.config.file
    try:
        return file.read_text(encoding="utf-8") if file is not None else None
    except OSError as error:
        raise PlatformError(f"{file} cannot be read: {error.strerror}.", is_passing=True) from error
