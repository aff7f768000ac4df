"""Retries of whole runs: which failed run is run again by itself, how often, and which of its steps.

Called by the daemon with the changes of runs, each at least once. Making the new run is reexecution.py; retries of one
step inside a run are its retry policy's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchord.errors import ConflictError, OrchordError, UnavailableError, did_you_mean
from orchord.instance.reexecution import ALL_STEPS, FROM_ASSET_FAILURE, FROM_FAILURE, reexecute
from orchord.runs import Attempt, AttemptStatus, Run, RunStatus
from orchord.storage import RunChange, RunFilter

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance
    from orchord.instance.sections import RunRetrySettings

logger = logging.getLogger(__name__)

MAX_RETRIES_TAG = "orchord/max_retries"
STRATEGY_TAG = "orchord/retry_strategy"
ON_STEP_FAILURE_TAG = "orchord/retry_on_asset_or_op_failure"
RETRY_NUMBER_TAG = "orchord/retry_number"
WILL_RETRY_TAG = "orchord/will_retry"
RETRIED_BY_TAG = "orchord/auto_retry_run_id"
# Ends of steps that say nothing of the user's code.
_NOT_THE_STEPS_OWN = ("StepProcessLost", "AttemptLost", "WorkerStopped")
_STRATEGIES = (FROM_FAILURE, ALL_STEPS, FROM_ASSET_FAILURE)


@dataclass
class RunRetries:
    """Runs failed runs again, as the instance file and their tags say."""

    instance: OrchordInstance

    def consider(self, changes: Sequence[RunChange]) -> int:
        """Make the retries that these changes call for; told again of a change, make none twice.

        Returns:
            How many runs were made.

        Raises:
            StorageUnavailableError: the database cannot be reached; tell the changes again.
        """
        if not self.instance.config.run_retries.enabled:
            return 0
        failed = [change.run_id for change in changes if change.status is RunStatus.FAILURE]
        return sum(self._considered(run_id) for run_id in dict.fromkeys(failed))

    def _considered(self, run_id: str) -> bool:
        try:
            return self._consider(run_id)
        except UnavailableError:
            raise
        except Exception:  # boundary: a fault of ours with one run must not keep others' changes from being told
            logger.exception("Run %s could not be considered for a retry", run_id)
            return False

    def _consider(self, run_id: str) -> bool:
        storage = self.instance.storage
        run = storage.runs.find(run_id)
        if run is None or run.status is not RunStatus.FAILURE or WILL_RETRY_TAG in run.tags:
            return False
        if max_retries(run, self.instance.config.run_retries) <= 0:
            return False
        if not wants_retry(run, self.instance.config.run_retries, storage.attempts.of_run(run_id)):
            storage.runs.add_tags(run_id, {WILL_RETRY_TAG: "false"})
            return False
        existing = self._made_before(run)
        try:
            retry = existing or self._retry(run)
        except UnavailableError:
            raise
        except OrchordError as error:
            # Its job is gone, or has other config now: nobody can run it again, today or later.
            logger.warning("Run %s cannot be retried: %s", run_id, error)
            storage.runs.add_tags(run_id, {WILL_RETRY_TAG: "false"})
            return False
        storage.runs.add_tags(run_id, {WILL_RETRY_TAG: "true", RETRIED_BY_TAG: retry.run_id})
        return existing is None

    def _made_before(self, run: Run) -> Run | None:
        children = self.instance.storage.runs.page(RunFilter(parent_run_id=run.run_id), limit=500)
        return next((child for child in children if child.idempotency_key == _key(run)), None)

    def _retry(self, run: Run) -> Run:
        key = _key(run)
        tags = {RETRY_NUMBER_TAG: str(retry_number(run) + 1)}
        try:
            made = reexecute(self.instance, run.run_id, strategy_of(run), tags, idempotency_key=key)
        except ConflictError:
            # All its steps had succeeded when it failed, as at the end of its longest time.
            made = reexecute(self.instance, run.run_id, ALL_STEPS, tags, idempotency_key=key)
        logger.info("Run %s has failed, and is retried as run %s", run.run_id, made.run_id)
        return made


def wants_retry(run: Run, settings: RunRetrySettings, attempts: Sequence[Attempt]) -> bool:
    """Return whether a failed run is to be run again."""
    if retry_number(run) >= max_retries(run, settings):
        return False
    on_step_failure = settings.retry_on_asset_or_op_failure
    if ON_STEP_FAILURE_TAG in run.tags:
        on_step_failure = run.tags[ON_STEP_FAILURE_TAG].lower() not in ("false", "0", "no")
    return on_step_failure or not failed_by_itself(run, attempts)


def failed_by_itself(run: Run, attempts: Sequence[Attempt]) -> bool:
    """Return whether a run failed because a step of it did, and not by a time limit or a lost process."""
    return run.error is None and any(
        attempt.status is AttemptStatus.FAILURE
        and (attempt.error is None or attempt.error.cls_name not in _NOT_THE_STEPS_OWN)
        for attempt in attempts
    )


def max_retries(run: Run, settings: RunRetrySettings) -> int:
    """Return how often a run may be retried: by its tag, else by the instance file."""
    return _number(run, MAX_RETRIES_TAG, settings.max_retries)


def retry_number(run: Run) -> int:
    """Return which retry a run is: 0 for one that somebody launched."""
    return _number(run, RETRY_NUMBER_TAG, 0)


def strategy_of(run: Run) -> str:
    """Return which steps a retry of a run runs, by its tag; what failed and what waits on it when it says nothing."""
    given = run.tags.get(STRATEGY_TAG, FROM_FAILURE)
    if given in _STRATEGIES:
        return given
    hint = did_you_mean(given, _STRATEGIES)
    logger.warning("Run %s: its tag %s is '%s'.%s Taken: %s", run.run_id, STRATEGY_TAG, given, hint, FROM_FAILURE)
    return FROM_FAILURE


def _number(run: Run, tag: str, otherwise: int) -> int:
    try:
        return int(run.tags[tag]) if tag in run.tags else otherwise
    except ValueError:
        logger.warning("Run %s: its tag %s is '%s', which is no whole number", run.run_id, tag, run.tags[tag])
        return otherwise


def _key(run: Run) -> str:
    return f"retry:{run.run_id}"
