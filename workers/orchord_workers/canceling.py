"""The end of a run that is being canceled, when nobody works on it: what has not ended will not run.

How work that goes on is stopped is stopping.py and interrupts.py.
"""

from __future__ import annotations

from orchord.spi import STEP_END_STATUSES, AttemptStatus, ExecutionPlan, RunStatus, Skip, Storage, utc_now
from orchord_workers.ends import latest_attempts

NOT_RUN = "not run, as the run was canceled"


def cancel_rest(storage: Storage, run_id: str, plan: ExecutionPlan) -> RunStatus | None:
    """End a run that is being canceled. Returns its terminal status if this call ended it, for who announces it."""
    latest = latest_attempts(storage.attempts.of_run(run_id))
    skips = []
    for step in plan.steps:
        attempt = latest.get(step.key)
        if attempt is None or attempt.status not in STEP_END_STATUSES:
            number = 1 if attempt is None else attempt.attempt + 1
            skips.append(Skip(step.key, AttemptStatus.CANCELED, NOT_RUN, number))
    return storage.attempts.record_skips(run_id, skips, utc_now(), ends_run=True)
