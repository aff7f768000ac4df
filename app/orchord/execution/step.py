"""Executing one attempt at one step: the boundary between the user's code and the engine.

Inside it, whatever the user's code does becomes a StepResult; nothing the user raises gets out. Loading, calling,
storing and hooks are in inputs.py, body.py, outputs.py and hooks.py; following the plan is not done here.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

from orchord.definitions.metadata import normalize_metadata
from orchord.definitions.signals import Failure, RetryRequested
from orchord.events import Event, EventType
from orchord.execution import contexts, logs
from orchord.execution.body import call_body, results_of
from orchord.execution.error_info import error_info
from orchord.execution.hooks import run_hooks
from orchord.execution.inputs import load_inputs
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.journal import Journal
from orchord.execution.outputs import OutputHandler, metadata_json, wanted_outputs
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.retries import retry_delay_seconds
from orchord.execution.run_resources import ResourceFault
from orchord.execution.scope import StepScope
from orchord.execution.secrets_in_config import masker_of
from orchord.execution.step_facts import StepFacts, step_facts
from orchord.execution.step_resources import StepResources
from orchord.execution.time_limit import held_to
from orchord.runs import AttemptStatus

if TYPE_CHECKING:
    from orchord.compute_logs import ComputeLogManager
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig
    from orchord.execution.masking import Masker


def execute_step(
    job: JobDefinition,
    request: StepRequest,
    *,
    resolved: ResolvedRunConfig,
    instance: Any,
    resources: Any = None,
    compute_logs: ComputeLogManager | None = None,
    emit_live: Callable[[Event], None] | None = None,
    masker: Masker | None = None,
) -> StepResult:
    """Carry out one attempt at a step. Whatever the user's code raises is in the result, and never raised.

    Args:
        job: the job, with its resources bound.
        request: which run, step and attempt.
        resolved: the run's config, checked.
        instance: what the user's code gets as ``context.instance``.
        resources: resources that are set up already; None sets up what the step needs and tears it down.
        compute_logs: where what the step prints is kept; None leaves it alone.
        emit_live: is called with each event as it happens. All events are in the result too.
        masker: hides secrets in events; None makes one from the config.
    """
    if masker is None:
        masker = masker_of(job, resolved)
    journal = Journal(request.step.key, masker, emit_live)
    attempt = _Attempt(job, request, resolved, instance, journal)
    if compute_logs is None or not compute_logs.keeps_logs:
        return attempt.carry_out(resources)
    capture = compute_logs.capture(request.run.run_id, request.step.key, request.attempt)
    try:
        capture.__enter__()
    except OSError as error:
        # A full disk under the logs is no reason to lose the step.
        journal.add(EventType.ENGINE_EVENT, f"What the step prints is not kept: {error}", level=logging.WARNING)
        return attempt.carry_out(resources)
    try:
        key = [request.run.run_id, request.step.key, str(request.attempt)]
        journal.add(EventType.LOGS_CAPTURED, "Started to keep what the step prints", {"log_key": key})
        return attempt.carry_out(resources)
    finally:
        capture.__exit__(None, None, None)


class _Attempt:
    """One attempt on its way from its inputs to its result."""

    def __init__(
        self, job: JobDefinition, request: StepRequest, resolved: ResolvedRunConfig, instance: Any, journal: Journal
    ) -> None:
        self.started = time.perf_counter()
        self.facts: StepFacts = step_facts(job, request.step.key)
        self.config: Any = None
        self.scope = StepScope(
            job=job,
            request=request,
            resolved=resolved,
            op_def=self.facts.op_def,
            assets=self.facts.assets,
            instance=instance,
            journal=journal,
            log=logs.StepLogger(f"{job.name}.{request.step.key}", journal, self.facts.loggers(resolved)),
        )
        self.handler = OutputHandler(self.scope)

    def carry_out(self, resources: Any) -> StepResult:
        """Run the attempt within its resources and its logger."""
        token = logs.set_current(self.scope.log)
        try:
            if isinstance(resources, ResourceFault):
                return self._ended(resources.error)
            if resources is not None:
                self.scope.resources = resources
                return self._ended(self._outcome())
            opened = StepResources(self.scope)
            try:
                self.scope.resources = opened.set_up()
            except BaseException as error:  # noqa: BLE001 - the boundary to user code
                return self._ended(error)
            try:
                result = self._ended(self._outcome())
            finally:
                opened.tear_down()
            # Tearing down may have told something too.
            return dataclasses.replace(result, events=tuple(self.scope.journal.events))
        finally:
            logs.reset_current(token)

    def _outcome(self) -> BaseException | None:
        """Load, compute and store. Return what went wrong, or None."""
        try:
            with held_to(self.scope.step.timeout_seconds, self.scope.step.key):
                self._compute()
        except BaseException as error:  # noqa: BLE001 - the boundary to user code
            return error
        return None

    def _compute(self) -> None:
        scope = self.scope
        op_def, request = scope.op_def, scope.request
        plain_config, self.config = self.facts.config(scope.resolved)
        inputs = load_inputs(scope)
        context = self.facts.context_class(
            run=scope.run,
            op_def=op_def,
            step_key=scope.step.key,
            op_config=plain_config,
            resources=scope.resources,
            log=scope.log,
            instance=scope.instance,
            retry_number=request.retry_number,
            job_def=scope.job,
            assets=scope.assets,
            said=scope.said,
        )
        scope.said.listener = self.handler.take
        wanted = wanted_outputs(scope)
        names = [name for name in op_def.outs if name in wanted]
        token = contexts.enter(context)
        try:
            returned = call_body(op_def, context, inputs, self.config, scope.resources)
            with closing(results_of(op_def, returned, names)) as results:
                for result in results:
                    self.handler.take(result)
            self.handler.finish()
        finally:
            contexts.leave(token)

    def _ended(self, error: BaseException | None) -> StepResult:
        if error is None:
            return self._succeeded()
        if isinstance(error, (KeyboardInterrupt, ExecutionInterrupted)):
            return self._canceled(error)
        request = self.scope.request
        delay = retry_delay_seconds(error, request.step.retry, request.retry_number) if request.may_retry else None
        return self._failed(error) if delay is None else self._to_be_retried(error, delay)

    def _succeeded(self) -> StepResult:
        milliseconds = (time.perf_counter() - self.started) * 1000
        self.scope.journal.add(
            EventType.STEP_SUCCESS,
            f"Finished execution of step '{self.scope.step.key}' in {milliseconds:.3g} ms",
            {"duration_ms": round(milliseconds, 3)},
        )
        run_hooks(self.scope, self.config, None)
        return self._result(AttemptStatus.SUCCESS)

    def _failed(self, error: BaseException) -> StepResult:
        # A retry that is asked for in vain is not what went wrong; what it was asked for because of is.
        if isinstance(error, RetryRequested) and error.__cause__ is not None:
            error = error.__cause__
        info = error_info(error, self.scope.journal.masker)
        data: dict[str, Any] = {"error": msgspec.to_builtins(info)}
        if isinstance(error, Failure):
            data["failure"] = {
                "description": error.description,
                "metadata": metadata_json(normalize_metadata(error.metadata)),
                "allow_retries": error.allow_retries,
            }
        self.scope.journal.add(
            EventType.STEP_FAILURE,
            f"Step '{self.scope.step.key}' failed: {info.cls_name}: {info.message}",
            data,
            level=logging.ERROR,
        )
        run_hooks(self.scope, self.config, error)
        return self._result(AttemptStatus.FAILURE, error=info, exception=error)

    def _to_be_retried(self, error: BaseException, delay: float) -> StepResult:
        shown = error.__cause__ if isinstance(error, RetryRequested) and error.__cause__ is not None else error
        info = error_info(shown, self.scope.journal.masker)
        when = f"in {delay:.3g} s" if delay else "at once"
        self.scope.journal.add(
            EventType.STEP_UP_FOR_RETRY,
            f"Step '{self.scope.step.key}' is tried again {when}: {info.cls_name}: {info.message}",
            {"error": msgspec.to_builtins(info), "seconds_to_wait": delay},
            level=logging.WARNING,
        )
        return self._result(AttemptStatus.UP_FOR_RETRY, error=info, exception=shown, retry_delay_seconds=delay)

    def _canceled(self, error: BaseException) -> StepResult:
        info = error_info(error, self.scope.journal.masker)
        self.scope.journal.add(
            EventType.STEP_FAILURE,
            f"Step '{self.scope.step.key}' was interrupted: {info.message or info.cls_name}",
            {"error": msgspec.to_builtins(info), "canceled": True},
            level=logging.ERROR,
        )
        run_hooks(self.scope, self.config, error)
        return self._result(AttemptStatus.CANCELED, error=info, exception=error)

    def _result(self, status: AttemptStatus, **more: Any) -> StepResult:
        return StepResult(
            status,
            outputs=tuple(self.handler.names),
            events=tuple(self.scope.journal.events),
            values=self.scope.values,
            **more,
        )
