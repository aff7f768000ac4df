"""Retention: takes away what is older than the instance file lets it be, in small batches.

The days by kind and status are the ``retention`` section's; how rows are deleted is the storage's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from orchord.spi import InstigatorKind, OrchordInstance, RunStatus, TickStatus

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3600.0
# Workers that were killed are shown as silent for so long; each start of a worker has a row of its own.
SILENT_WORKERS_KEPT = timedelta(days=1)
# Short transactions: nobody waits for a purge.
TICKS_AT_ONCE = 1000
RUNS_AT_ONCE = 50
# After so many batches others have their turn, and the rest has its own soon after.
BATCHES_PER_TURN = 20
NEXT_TURN_SECONDS = 5.0


@dataclass
class Retention:
    """Purges. Two at once do no harm."""

    instance: OrchordInstance

    def purge(self) -> float | None:
        """Take away what is too old, a bounded number of batches. Returns when to go on, if there may be more."""
        storage = self.instance.storage
        storage.workers.forget_silent(storage.clock() - SILENT_WORKERS_KEPT)
        left = BATCHES_PER_TURN
        for work in (self._purge_ticks, self._purge_runs):
            left = work(left)
        return NEXT_TURN_SECONDS if left <= 0 else None

    def _purge_ticks(self, batches: int) -> int:
        storage, retention = self.instance.storage, self.instance.config.retention
        now = storage.clock()
        kept = {InstigatorKind.SCHEDULE: retention.schedule, InstigatorKind.SENSOR: retention.sensor}
        for kind, by_status in kept.items():
            days = {
                TickStatus.SKIPPED: by_status.skipped,
                TickStatus.SUCCESS: by_status.success,
                TickStatus.FAILURE: by_status.failure,
            }
            for status, number in days.items():
                before = now - timedelta(days=number)
                while number >= 0 and batches > 0:
                    batches -= 1
                    gone = storage.ticks.purge(kind, status, before, TICKS_AT_ONCE)
                    if gone:
                        logger.info(
                            "Removed %s %s ticks of %s older than %s days", gone, status, kind.lower() + "s", number
                        )
                    if gone < TICKS_AT_ONCE:
                        break
        return batches

    def _purge_runs(self, batches: int) -> int:
        storage, kept = self.instance.storage, self.instance.config.retention.run
        now = storage.clock()
        days = {RunStatus.SUCCESS: kept.success, RunStatus.FAILURE: kept.failure, RunStatus.CANCELED: kept.canceled}
        for status, number in days.items():
            before = now - timedelta(days=number)
            while number >= 0 and batches > 0:
                batches -= 1
                gone = storage.runs.purge(before, (status,), RUNS_AT_ONCE)
                for run_id in gone:
                    self.instance.compute_log_manager.delete(run_id)
                if gone:
                    logger.info("Removed %s %s runs older than %s days", len(gone), status, number)
                if len(gone) < RUNS_AT_ONCE:
                    break
        return batches
