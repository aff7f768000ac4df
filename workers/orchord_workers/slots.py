"""Slots of pools, and of runs' own limits, that have come free: the steps that wait for them are sent to workers.

Who is called is the database's to say (orchord.storage.pool_store); what is lost here, the daemon's queue loop calls
again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from orchord.spi import (
    BrokerUnavailableError,
    ExecutionPlan,
    NotFoundError,
    OrchordInstance,
    PoolWaiter,
    Run,
    RunMachine,
    StepMessage,
    StorageUnavailableError,
    executor_config,
    gates_of,
)
from orchord_workers.app import broker_errors_translated
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.ends import ends_of, latest_attempts

logger = logging.getLogger(__name__)


class Slots:
    """Calls the waiters of pools."""

    def __init__(self, instance: OrchordInstance, canvas: Canvas, contexts: RunContexts) -> None:
        self._storage = instance.storage
        self._canvas = canvas
        self._contexts = contexts

    def freed(self, pool: str | None) -> None:
        """Call who waits for a slot of a pool that has just come free. A failure is left to the daemon."""
        if pool is None:
            return
        try:
            self.send(self._storage.pools.call_waiters(pool))
        except (StorageUnavailableError, BrokerUnavailableError) as error:
            logger.warning("Left the waiters of pool '%s' to the daemon: %s", pool, error)

    def freed_in(self, run: Run, plan: ExecutionPlan) -> None:
        """Call who waits for a limit of the run's own executor, as a step of it has ended."""
        gates = gates_of(executor_config(run), plan)
        if not gates:
            return
        try:
            self.send(self._storage.launches.call_waiters(run.run_id, gates))
        except (StorageUnavailableError, BrokerUnavailableError) as error:
            logger.warning("Left the waiting steps of run %s to the daemon: %s", run.run_id, error)

    def call_in_runs(self) -> int:
        """Call who can go of all who wait for a limit of their run; for who looks now and then. Returns how many.

        Raises:
            StorageUnavailableError, BrokerUnavailableError: it cannot be done now.
        """
        called = 0
        for run_id in self._storage.launches.runs_with_waiters():
            with contextlib.suppress(NotFoundError):
                run = self._storage.runs.get(run_id)
                gates = gates_of(executor_config(run), self._contexts.plan_of(run))
                called += self.send(self._storage.launches.call_waiters(run_id, gates))
        return called

    def send(self, waiters: Sequence[PoolWaiter]) -> int:
        """Send the steps that were called, and return how many messages that took.

        Raises:
            BrokerUnavailableError: the broker cannot be reached; the waiters are called again later.
        """
        sent = 0
        for waiter in waiters:
            # One that waits in place looks for itself.
            if waiter.worker_id is None:
                with contextlib.suppress(NotFoundError), broker_errors_translated(self._canvas.app):
                    self._send(waiter)
                    sent += 1
        return sent

    def _send(self, waiter: PoolWaiter) -> None:
        # Without the run's context: its config may be for other code than this process has.
        run = self._storage.runs.get(waiter.run_id)
        plan = self._contexts.plan_of(run)
        attempts = self._storage.attempts.of_run(run.run_id) if plan.upstream[waiter.step_key] else []
        machine, _ = RunMachine.resume(plan, run.inherited, ends_of(latest_attempts(attempts).values()))
        parts = tuple(machine.parts_for(waiter.step_key).values())
        message = StepMessage(run.run_id, waiter.step_key, waiter.attempt, waiter.retry_number, waiter.pool)
        self._canvas.send_step(run, plan, message, parts)
