"""Executing a job in the command's own process, with the run recorded in the instance as any other.

How its steps follow each other is orchord.execution; launching on workers is orchord.instance.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchord.cli.opening import opened_instance
from orchord.cli.progress import Display, shown_progress
from orchord.cli.runs import report_end
from orchord.definitions.config.check import check_config
from orchord.definitions.config.run_config import laid_over
from orchord.errors import InvalidConfigError, JobNotFoundError, NotFoundError, did_you_mean
from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.execution.in_process import run_in_process
from orchord.instance.launch import own_tag
from orchord.instance.selecting import Selection, select
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage.values import Claim, Finish, Skip

if TYPE_CHECKING:
    from orchord.execution.request import StepResult
    from orchord.instance import OrchordInstance
    from orchord.location import CodeLocation
    from orchord.plan.machine import SkipStep
    from orchord.plan.model import Step
    from orchord.storage import Storage

EXECUTOR = "in_process_executor"


def execute_here(
    code: CodeLocation,
    job_name: str,
    *,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    op_selection: Sequence[str] | None = None,
    asset_selection: Sequence[str] | None = None,
    as_json: bool,
) -> int:
    """Execute a job of loaded code, show its progress, print its end; return the exit code.

    Raises:
        JobNotFoundError: the code has no such job.
        InvalidConfigError: the run config has mistakes; all are listed.
        InvalidSubsetError: the selection has mistakes; all are listed.
    """
    job = code.repository.jobs.get(job_name)
    if job is None:
        known = [name for name in code.repository.jobs if not name.startswith("__")]
        raise JobNotFoundError(f"No job is called '{job_name}' in {code.name}.{did_you_mean(job_name, known)}")
    with opened_instance() as instance:
        run, selection = _new_run(instance, code, job_name, run_config, tags, op_selection, asset_selection)
        resolved = job.resolve_run_config(run.run_config, run.step_keys)
        _record(instance, code, run, selection)
        with shown_progress(run, [step.key for step in selection.plan.steps]) as display:
            recorder = Recorder(instance.storage, run, display)
            end = run_in_process(
                job,
                run,
                selection.plan,
                resolved,
                instance,
                recorder,
                compute_logs=instance.compute_log_manager,
                emit_live=recorder.show,
            )
        if end.events:
            instance.storage.attempts.append_events(run.run_id, end.events)
        ended = instance.storage.runs.get(run.run_id)
        if not ended.status.is_terminal:
            error = ErrorInfo(type(end.error).__name__, "The run was interrupted.") if end.error else None
            instance.storage.runs.fail(run.run_id, error, utc_now())
            ended = instance.storage.runs.get(run.run_id)
        return report_end(instance, ended, as_json=as_json)


class Recorder:
    """Writes a run in this process down, step by step, and shows it."""

    def __init__(self, storage: Storage, run: Run, display: Display) -> None:
        self._storage = storage
        self._run_id = run.run_id
        self._display = display
        self._worker_id = f"{socket.gethostname()}-{os.getpid()}"
        self._token = ""
        self._retries: dict[str, int] = {}

    def show(self, event: Event) -> None:
        """Show an event as it happens."""
        self._display.show(event)
        self._display.refresh()

    def claim(self, step: Step, attempt: int) -> bool:
        """Claim an attempt. Another process could only have canceled the run."""
        self._token = secrets.token_hex(8)
        now = utc_now()
        claim = Claim(
            run_id=self._run_id,
            step_key=step.key,
            attempt=attempt,
            retry_number=self._retries.get(step.key, 0),
            token=self._token,
            worker_id=self._worker_id,
            process_id=os.getpid(),
            at=now,
        )
        claimed = self._storage.attempts.claim(claim).claimed
        if claimed:
            kind = EventType.STEP_START if attempt == 1 else EventType.STEP_RESTARTED
            self.show(Event(kind, now, step_key=step.key))
        return claimed

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store how an attempt ended."""
        if result.status is AttemptStatus.UP_FOR_RETRY:
            self._retries[step.key] = self._retries.get(step.key, 0) + 1
        finish = Finish(
            run_id=self._run_id,
            step_key=step.key,
            attempt=attempt,
            token=self._token,
            status=result.status,
            at=utc_now(),
            outputs=result.outputs,
            events=result.events,
            error=result.error,
            skips=self._as_skips(skips),
            ends_run=ends_run,
        )
        self._storage.attempts.finish(finish)

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store steps that do not run."""
        self._storage.attempts.record_skips(self._run_id, self._as_skips(skips), utc_now(), ends_run=ends_run)

    def _as_skips(self, skips: Sequence[SkipStep]) -> tuple[Skip, ...]:
        for skip in skips:
            self.show(Event(EventType.STEP_SKIPPED, utc_now(), skip.reason, skip.step_key))
        return tuple(Skip(skip.step_key, skip.status, skip.reason) for skip in skips)


def _new_run(
    instance: OrchordInstance,
    code: CodeLocation,
    job_name: str,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    op_selection: Sequence[str] | None,
    asset_selection: Sequence[str] | None,
) -> tuple[Run, Selection]:
    snapshot = code.snapshot.job_by_name[job_name]
    config = laid_over(snapshot.default_config, run_config)
    selection = select(code.snapshot, snapshot, op_selection, asset_selection, None, {})
    mistakes = check_config(snapshot.run_config_type(selection.step_keys), config).mistakes
    if mistakes:
        raise InvalidConfigError(f"The run config of job '{job_name}' has mistakes", mistakes)
    run = Run(
        run_id=new_run_id(),
        job_name=job_name,
        location=code.name,
        status=RunStatus.STARTING,
        job_snapshot_id=snapshot.snapshot_id,
        created_at=utc_now(),
        run_config=config,
        tags={own_tag(key): value for key, value in {**snapshot.run_tags, **tags}.items()},
        executor=EXECUTOR,
        step_keys=selection.step_keys,
        asset_selection=selection.asset_keys,
    )
    return run, selection


def _record(instance: OrchordInstance, code: CodeLocation, run: Run, selection: Selection) -> None:
    try:
        instance.storage.locations.job_snapshot(run.job_snapshot_id)
    except NotFoundError:
        instance.storage.locations.put(code.snapshot)
    events = [Event(EventType.RUN_STARTING, run.created_at, f"Run of job '{run.job_name}' in the command's process.")]
    events += [
        Event(
            EventType.ASSET_MATERIALIZATION_PLANNED, run.created_at, f"Will materialize '{key}'.", step, asset_key=key
        )
        for step, key in selection.planned_assets
    ]
    instance.storage.runs.create(run, events)
