"""Executing a job in the command's own process, with the run recorded in the instance as any other.

How its steps follow each other is orchord.execution; launching on workers is orchord.instance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchord.cli.opening import opened_instance
from orchord.cli.progress import Display, shown_progress
from orchord.cli.runs import report_end
from orchord.definitions.config.check import check_config
from orchord.definitions.config.run_config import laid_over
from orchord.errors import InvalidConfigError, JobNotFoundError, NotFoundError, UnavailableError, did_you_mean
from orchord.events import Event, EventType, utc_now
from orchord.execution.error_info import error_info
from orchord.execution.executors import (
    IN_PROCESS,
    Executor,
    ExecutorFailedError,
    InProcessExecutor,
    ProcessStarters,
    executor_of,
    run_by_executor,
)
from orchord.execution.in_process import RunEnd, run_in_process
from orchord.execution.interrupt import stop_noticed
from orchord.execution.orchestration import RunSurroundings
from orchord.execution.processes import StepTemplate
from orchord.instance.log_shipping import announce_logs, log_shipper
from orchord.instance.placement import executor_of as placed_executor
from orchord.instance.placement import misfits_here
from orchord.instance.recording import RunRecorder
from orchord.instance.run_tags import own_tag
from orchord.instance.selecting import Selection, select
from orchord.instance.step_sources import LocationSource
from orchord.plan.places import Place, runs_as_unit
from orchord.runs import Run, RunStatus, new_run_id
from orchord.settings import Settings

if TYPE_CHECKING:
    from orchord.execution.request import StepResult
    from orchord.instance import OrchordInstance
    from orchord.location import CodeLocation
    from orchord.plan.machine import SkipStep
    from orchord.plan.model import Step
    from orchord.snapshot import JobSnapshot
    from orchord.storage import Storage


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
    with contextlib.ExitStack() as held:
        # Before connections and threads are there, which a fork would take along.
        template = _template(code, _executor_here(code.snapshot.job_by_name[job_name], run_config))
        if template is not None:
            held.callback(template.close)
        instance = held.enter_context(opened_instance())
        run, selection = _new_run(instance, code, job_name, run_config, tags, op_selection, asset_selection)
        resolved = job.resolve_run_config(run.run_config, run.step_keys)
        executor = executor_of(job, run, selection.plan, instance)
        events = _prepared(instance, code, run, selection)
        with shown_progress(run, [step.key for step in selection.plan.steps]) as display:
            recorder = ShownRecorder(instance.storage, run, events, display)
            starters = ProcessStarters(_source(code), template)
            held.callback(starters.close)
            with _logs_shipped(instance, recorder.worker_id) as owner:
                within = RunSurroundings(
                    job=job,
                    run=recorder.run,
                    plan=selection.plan,
                    resolved=resolved,
                    instance=instance,
                    sink=recorder,
                    compute_logs=instance.compute_log_manager,
                    emit_live=recorder.tell,
                    owner=owner,
                )
                _recorded(recorder, lambda: _carried_out(within, executor, starters))
        ended = instance.storage.runs.get(run.run_id)
        return report_end(instance, ended, as_json=as_json)


def _carried_out(within: RunSurroundings, executor: Executor, starters: ProcessStarters) -> RunEnd:
    if type(executor) is InProcessExecutor and executor.retries_enabled:
        return run_in_process(
            within.job,
            within.run,
            within.plan,
            within.resolved,
            within.instance,
            within.sink,
            compute_logs=within.compute_logs,
            emit_live=within.emit_live,
        )
    try:
        with stop_noticed() as stop:
            return run_by_executor(executor, within, starters.of, stop)
    except ExecutorFailedError as error:
        within.instance.storage.runs.fail(within.run.run_id, error.info, utc_now())
        return RunEnd(RunStatus.FAILURE)


def _recorded(recorder: RunRecorder, carry_out: Callable[[], RunEnd]) -> None:
    """Write down how the run ended, also when it could not be carried out to its end: nobody else ends it."""
    try:
        end = carry_out()
    except KeyboardInterrupt:
        recorder.close(RunEnd(None))
        raise
    except Exception as error:  # boundary: our own faults, and the storage's
        with contextlib.suppress(UnavailableError):
            recorder.storage.runs.fail(recorder.run_id, error_info(error), utc_now())
        recorder.close(RunEnd(RunStatus.FAILURE))
        raise
    recorder.close(end)


@contextlib.contextmanager
def _logs_shipped(instance: OrchordInstance, owner: str) -> Iterator[str]:
    """Upload what steps print here while this lasts, where the compute log manager has a store.

    Yields who looks after what steps print: the owner; or nobody, where files stay where they are.

    Lines are not shown live to other machines: the command works without a broker, and does not wait for one.
    """
    shipper = log_shipper(instance, owner, shows=False)
    if shipper is None:
        yield ""
        return
    announce_logs(instance, owner)
    shipper.start()
    try:
        yield owner
    finally:
        shipper.stop()


def _executor_here(job: JobSnapshot, run_config: Mapping[str, Any]) -> str:
    """Return the executor of a run in the command's process: the job's, if that makes a run one unit of work."""
    name = placed_executor(job, Place.WORKER, laid_over(job.default_config, run_config))
    return name if runs_as_unit(name) else IN_PROCESS


def _source(code: CodeLocation) -> LocationSource:
    return LocationSource(Settings.from_environment(), code.target, code)


def _template(code: CodeLocation, executor: str) -> StepTemplate | None:
    return None if executor == IN_PROCESS else StepTemplate(_source(code))


class ShownRecorder(RunRecorder):
    """Writes a run in this process down, step by step, and shows it."""

    def __init__(self, storage: Storage, run: Run, events: Sequence[Event], display: Display) -> None:
        super().__init__(storage, run, events)
        self._display = display

    def tell(self, event: Event) -> None:
        """Show an event of a step as it happens; if the step takes long, it is written down before its end."""
        self.live.note(event)
        self.show(event)

    def show(self, event: Event) -> None:
        """Show an event as it happens."""
        self._display.show(event)
        self._display.refresh()

    def claim_now(self, step: Step, attempt: int) -> bool | None:
        """Claim an attempt. Another process could only have canceled the run."""
        claimed = super().claim_now(step, attempt)
        if claimed:
            kind = EventType.STEP_START if attempt == 1 else EventType.STEP_RESTARTED
            self.show(Event(kind, utc_now(), step_key=step.key))
        return claimed

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store how an attempt ended."""
        super().finish(step, attempt, result, skips, ends_run)
        self._show_skips(skips)

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store steps that do not run."""
        super().skip(skips, ends_run)
        self._show_skips(skips)

    def _show_skips(self, skips: Sequence[SkipStep]) -> None:
        for skip in skips:
            self.show(Event(EventType.STEP_SKIPPED, utc_now(), skip.reason, skip.step_key))


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
    executor = _executor_here(snapshot, run_config)
    reasons = misfits_here(snapshot, executor, selection.plan, config)
    if reasons:
        raise InvalidConfigError(f"Job '{job_name}' cannot be executed here", reasons)
    run = Run(
        run_id=new_run_id(),
        job_name=job_name,
        location=code.name,
        status=RunStatus.STARTING,
        job_snapshot_id=snapshot.snapshot_id,
        created_at=utc_now(),
        run_config=config,
        tags={own_tag(key): value for key, value in {**snapshot.run_tags, **tags}.items()},
        executor=executor,
        executor_config={} if executor == IN_PROCESS else snapshot.executor_config,
        step_keys=selection.step_keys,
        asset_selection=selection.asset_keys,
    )
    return run, selection


def _prepared(instance: OrchordInstance, code: CodeLocation, run: Run, selection: Selection) -> list[Event]:
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
    return events
