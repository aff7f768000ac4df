"""The run queue at work: runs leave it by its limits and are handed to the run launcher, in whatever process looks.

Whoever submits a run looks at once; the daemon looks when a run has ended, and now and then. Which runs may go is
run_limits.py; the queue's one lock is orchord.storage.queue_store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from orchord.errors import BrokerUnavailableError, OrchordError, UnavailableError
from orchord.events import ErrorInfo, utc_now
from orchord.instance.launchers import LaunchRunContext
from orchord.instance.queue_section import QueueSettings
from orchord.instance.run_limits import QueueLimits, RunLimits
from orchord.plan.model import ExecutionPlan
from orchord.runs import Run
from orchord.wire import WAKE_QUEUE

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

logger = logging.getLogger(__name__)

BATCH = 100
# What a process that only wants to submit a run does for others, before it leaves the rest to the daemon.
SUBMITTERS_BATCH = 4
CACHED_PLANS = 64
# Why runs wait is noted at most this often, and takes at most a twentieth of the time.
EXPLAIN_SECONDS = 1.0
EXPLAIN_SHARE = 20.0


class RunQueue:
    """The queue of one instance, as this process sees it. Safe for threads."""

    def __init__(self, instance: OrchordInstance, settings: QueueSettings) -> None:
        self.instance = instance
        self.settings = settings
        self._plans: dict[tuple[str, tuple[str, ...] | None], ExecutionPlan] = {}
        self._last_look: RunLimits | None = None
        self._explain_at = 0.0

    def submit(self, context: LaunchRunContext) -> None:
        """Let a run go that is recorded as QUEUED, if it may; else it waits, and the reason is noted.

        Nothing that goes wrong here loses the run: the daemon looks at the queue too.
        """
        queue = self.instance.storage.queue
        limits = RunLimits(self.settings.limits)
        try:
            taken = queue.take_quickly(limits, SUBMITTERS_BATCH)
            if taken is None:
                limits = RunLimits(self.settings.limits)
                taken = queue.take(limits, SUBMITTERS_BATCH, waits=False)
            if taken is None:
                # Another process is looking just now, and may have looked before this run was there.
                self.instance.courier.wake(WAKE_QUEUE)
                return
            self._launch(taken, [context])
            if len(taken) == SUBMITTERS_BATCH:
                self.instance.courier.wake(WAKE_QUEUE)
            elif context.run.run_id not in {run.run_id for run in taken}:
                queue.explain_one(context.run.run_id, limits.reason_of(context.run))
        except UnavailableError as error:
            logger.warning("Left run %s in the queue to the daemon: %s", context.run.run_id, error)

    def submit_many(self, contexts: Sequence[LaunchRunContext]) -> None:
        """Let go what may of runs that are recorded as QUEUED, by one look; why the others wait, the daemon notes."""
        most = max(len(contexts), SUBMITTERS_BATCH)
        try:
            taken = self.instance.storage.queue.take(RunLimits(self.settings.limits), most, waits=False)
            if taken:
                self._launch(taken, contexts)
        except UnavailableError as error:
            logger.warning("Left %s runs in the queue to the daemon: %s", len(contexts), error)
            return
        if taken is None or len(taken) == most or {one.run.run_id for one in contexts} - {run.run_id for run in taken}:
            self.instance.courier.wake(WAKE_QUEUE)

    def dequeue(self) -> int:
        """Let all runs go that may; return how many were taken out of the queue.

        A run that cannot be handed over, as the broker is away, stays STARTING, and the monitor sends its steps.

        Raises:
            StorageUnavailableError: the database cannot be reached.
        """
        total = 0
        if not self.instance.storage.queue.has_runs():
            # Each run that ends anywhere calls for this look. Mostly nobody waits; then nothing is counted or locked.
            self._last_look = None
            return total
        while True:
            limits = RunLimits(self.settings.limits)
            taken = self.instance.storage.queue.take(limits, BATCH) or []
            self._last_look = limits
            total += len(taken)
            all_handed_over = self._launch(taken)
            if len(taken) < BATCH or not all_handed_over:
                return total

    def explain(self) -> bool:
        """Note why runs wait, as the last ``dequeue`` saw it, unless that was done just now.

        Returns:
            Whether everything is noted. False: call again in a second.
        """
        look = self._last_look
        if look is None:
            return True
        began = time.monotonic()
        if began < self._explain_at:
            return False
        self.instance.storage.queue.explain(look.full, look.reason)
        self._last_look = None
        self._explain_at = began + max(EXPLAIN_SECONDS, (time.monotonic() - began) * EXPLAIN_SHARE)
        return True

    def _launch(self, runs: Sequence[Run], submitted: Sequence[LaunchRunContext] = ()) -> bool:
        """Hand runs to the launcher. False: some are left to the monitor, as the broker is away."""
        plans = {context.run.run_id: context.plan for context in submitted}

        def one(run: Run) -> bool:
            return self._launch_one(run, plans.get(run.run_id))

        if self.settings.use_threads and len(runs) > 1:
            with ThreadPoolExecutor(min(self.settings.num_workers, len(runs)), "orchord-dequeue") as threads:
                return all(list(threads.map(one, runs)))
        # Each try with a broker that is away takes seconds: the first that fails speaks for the others.
        return all(map(one, runs))

    def _launch_one(self, run: Run, plan: ExecutionPlan | None) -> bool:
        try:
            context = LaunchRunContext(run, plan if plan is not None else self._plan_of(run), self.instance)
            self.instance.launcher_of(run).launch_run(context)
        except BrokerUnavailableError as error:
            logger.warning("Run %s left the queue, and its first steps are left to the monitor: %s", run.run_id, error)
            return False
        except UnavailableError:
            raise
        except OrchordError as error:
            logger.error("Run %s cannot be launched: %s", run.run_id, error)
            failure = ErrorInfo(type(error).__name__, f"The run could not be handed over: {error}")
            self.instance.storage.runs.fail(run.run_id, failure, utc_now())
        return True

    def _plan_of(self, run: Run) -> ExecutionPlan:
        key = (run.job_snapshot_id, run.step_keys)
        plan = self._plans.get(key)
        if plan is None:
            plan = self.instance.job_snapshot(run.job_snapshot_id).plan
            if run.step_keys is not None:
                plan = plan.select(run.step_keys)
            if len(self._plans) >= CACHED_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan


def unlimited_queue() -> QueueLimits:
    """Return limits that hold nothing back."""
    return QueueLimits(max_concurrent_runs=None, blocks_on_pools=False)
