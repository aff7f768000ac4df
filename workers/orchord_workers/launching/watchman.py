"""The watchman of one platform: it sees containers end, and attends to those that left their work undone.

A container that ends well has stored everything itself: it is only taken away. How an end reads is verdicts.py; what
no event told of is found by comparing (resync.py).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from orchord.spi import (
    Attempt,
    AttemptStatus,
    ErrorInfo,
    LaunchKey,
    LaunchStanding,
    NotFoundError,
    OrchordError,
    OrchordInstance,
    Place,
    keep_what_is_live,
    place_of,
    utc_now,
)
from orchord_workers.containers.platform import RUN_LABEL, STEP_LABEL, ContainerState, Phase, Platform, PlatformError
from orchord_workers.launching.naming import key_of
from orchord_workers.launching.verdicts import Verdict, is_held_by, verdict_of
from orchord_workers.mending import MOST_LOST_ATTEMPTS, Mender

logger = logging.getLogger(__name__)

TAIL_LINES = 20
STOP_GRACE_SECONDS = 10.0
RUN_LOST = "RunContainerLost"

Job = Callable[[], object]


class Watchman:
    """Watches one platform: one thread sees, one thread acts.

    Args:
        instance: The instance.
        place: Which platform it is.
        platform: The platform.
        mender: How attempts are ended and runs mended; only the acting thread uses it.
    """

    def __init__(self, instance: OrchordInstance, place: Place, platform: Platform, mender: Mender) -> None:
        self.instance = instance
        self.place = place
        self.platform = platform
        self.mender = mender
        self.known: dict[str, ContainerState] = {}
        # Of each run without an attempt to lose: how many attempts it had, and how many containers it has lost since.
        self._lost_runs: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._watch, name="orchord-watch", daemon=True),
            threading.Thread(target=self._act, name="orchord-attend", daemon=True),
        ]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop watching; containers go on."""
        self._stopped.set()
        self._jobs.put(None)
        self.platform.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=5)

    def do(self, job: Job) -> None:
        """Have something done by the acting thread, after what is to be done already."""
        self._jobs.put(job)

    def containers_of_run(self, run_id: str) -> list[ContainerState]:
        """Return the containers that carry this run out as a whole, or did and are still there."""
        with self._lock:
            states = [state for state in self.known.values() if state.labels.get(RUN_LABEL) == run_id]
        return [state for state in states if STEP_LABEL not in state.labels]

    def serves(self, attempt: Attempt) -> bool:
        """Return whether an attempt's container is of this platform. For the acting thread alone."""
        try:
            context = self.mender.runner.contexts.read(attempt.run_id)
        except NotFoundError:
            return False
        return place_of(context.run.executor, context.plan.by_key.get(attempt.step_key)) is self.place

    def interrupt_run(self, run_id: str) -> int:
        """Ask all containers of a run to stop. Returns how many there are."""
        with self._lock:
            states = [s for s in self.known.values() if s.labels.get(RUN_LABEL) == run_id and is_live(s)]
        for state in states:
            self.do(lambda name=state.name: self.platform.stop(name, STOP_GRACE_SECONDS))  # type: ignore[misc]
        return len(states)

    def see(self, state: ContainerState) -> None:
        """Take note of a change. Called by the platform's watch."""
        with self._lock:
            before = self.known.pop(state.name, None)
            if state.phase is not Phase.GONE:
                self.known[state.name] = state
            elif before is None or not is_live(before):
                # Its end was seen before, and is attended to once: attended to again, a run's would count twice.
                return
        if not is_live(state) or state.cannot_start:
            self.do(lambda: self.attend(state))

    def attend(self, state: ContainerState, standing: LaunchStanding | None = None) -> None:
        """End what a container left undone, and take it away."""
        key = key_of(state.labels)
        goes_on = False
        if key is not None:
            if standing is None:
                standing = self.instance.storage.launches.standings([key]).get(key)
            if standing is None or standing.run_status.is_terminal:
                self._lost_runs.pop(key.run_id, None)
            elif key.step_key:
                self._attend_step(state, standing)
            else:
                goes_on = self._attend_run(state, key)
            self._keep_logs(key, state)
        self._take_away(state)
        if goes_on and key is not None:
            # Only now: where no attempt was begun in it, the run's next container has the same name.
            self.mender.mend_run(key.run_id)

    def _keep_logs(self, key: LaunchKey, state: ContainerState) -> None:
        """Keep what was shown live of a container's attempts, where it was kept nowhere else: its files go with it."""
        if key.step_key:
            keep_what_is_live(self.instance, key.run_id, key.step_key, key.attempt)
            return
        for one in self.instance.storage.attempts.of_run(key.run_id):
            if one.worker_id == state.name:
                keep_what_is_live(self.instance, key.run_id, one.step_key, one.attempt)

    def _attend_step(self, state: ContainerState, standing: LaunchStanding) -> None:
        attempt = standing.attempt
        if attempt is None or attempt.status is not AttemptStatus.RUNNING or not is_held_by(attempt, state.name):
            return
        # A launcher worker claims as no process: the container has taken the attempt over when there is one.
        verdict = verdict_of(state, began=attempt.process_id != 0, tail=self._tail(state))
        logger.warning("Container %s left step %s undone: %s", state.name, attempt.step_key, verdict.reason)
        if verdict.result_of is None:
            self.mender.attempts_lost([attempt], verdict.reason)
        else:
            self.mender.end_with([attempt], verdict.result_of)
            self.mender.mend_run(attempt.run_id)

    def _attend_run(self, state: ContainerState, key: LaunchKey) -> bool:
        """End what a run's container left undone. Returns whether the run is to go on."""
        attempts = self.instance.storage.attempts.of_run(key.run_id)
        held = [a for a in attempts if a.status is AttemptStatus.RUNNING and a.worker_id == state.name]
        verdict = verdict_of(state, began=bool(attempts), tail=self._tail(state) if state.exit_code else "")
        if held and verdict.result_of is None:
            self.mender.give_up(held, verdict.reason)
        elif held and verdict.result_of is not None:
            self.mender.end_with(held, verdict.result_of)
        elif any(is_live(other) for other in self.containers_of_run(key.run_id) if other.name != state.name):
            # It is told of again, as one that is kept is with each new connection: the run has gone on long since.
            return False
        elif not self._may_begin_again(key, verdict, len(attempts)):
            error = ErrorInfo(RUN_LOST, f"The run's container {state.name} {verdict.reason}.{verdict.last_lines}")
            status = self.instance.storage.runs.fail(key.run_id, error, utc_now())
            if status is not None:
                self.mender.runner.notify_end(key.run_id, status)
            return False
        return True

    def _may_begin_again(self, key: LaunchKey, verdict: Verdict, attempts: int) -> bool:
        """Whether a run goes on in a new container, though the last one ended between two steps or before the first."""
        if verdict.is_failure and not attempts:
            return False
        before, losses = self._lost_runs.get(key.run_id, (attempts, 0))
        losses = losses + 1 if before == attempts else 1
        self._lost_runs[key.run_id] = (attempts, losses)
        return losses < MOST_LOST_ATTEMPTS

    def _take_away(self, state: ContainerState) -> None:
        if state.cannot_start and is_live(state):
            self.platform.stop(state.name, 0)
        if state.phase is not Phase.GONE and not state.is_kept:
            self.platform.remove(state.name)
        with self._lock:
            if not state.is_kept:
                self.known.pop(state.name, None)

    def _tail(self, state: ContainerState) -> str:
        if state.phase is Phase.GONE:
            return ""
        try:
            return self.platform.tail(state.name, TAIL_LINES)
        except PlatformError as error:
            logger.info("The last lines of %s cannot be had: %s", state.name, error)
            return ""

    def _watch(self) -> None:
        self.platform.watch(self.instance.owner_id, self.see, self._stopped)

    def _act(self) -> None:
        while not self._stopped.is_set():
            job = self._jobs.get()
            if job is None:
                return
            try:
                job()
            except (OrchordError, PlatformError) as error:
                # The next comparison finds it again.
                logger.warning("A container is attended to later: %s", error)
            except Exception:  # boundary: our own faults; the thread has others to look after
                logger.exception("A container cannot be attended to")


def is_live(state: ContainerState) -> bool:
    """Return whether a container has not ended."""
    return state.phase in (Phase.PENDING, Phase.RUNNING)
