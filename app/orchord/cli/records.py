"""Runs, steps, events and ticks as the plain mappings that ``--json`` prints: every key always there, times in ISO.

What people see instead are the tables of output.py and the lines of event_lines.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from orchord.events import ErrorInfo, StoredEvent
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Attempt, Run
from orchord.ticks import Tick


def run_record(run: Run) -> dict[str, Any]:
    """Return a run as a mapping."""
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "location": run.location,
        "status": str(run.status),
        "executor": run.executor,
        "created_at": _iso(run.created_at),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "run_config": run.run_config,
        "tags": run.tags,
        "step_keys": None if run.step_keys is None else list(run.step_keys),
        "asset_selection": None if run.asset_selection is None else list(run.asset_selection),
        "parent_run_id": run.parent_run_id,
        "root_run_id": run.root_run_id,
        "error": _error(run.error),
    }


def attempt_record(attempt: Attempt) -> dict[str, Any]:
    """Return one attempt at one step as a mapping."""
    return {
        "step_key": attempt.step_key,
        "attempt": attempt.attempt,
        "retry_number": attempt.retry_number,
        "status": str(attempt.status),
        "worker_id": attempt.worker_id or None,
        "started_at": _iso(attempt.started_at),
        "ended_at": _iso(attempt.ended_at),
        "outputs": list(attempt.outputs),
        "error": _error(attempt.error),
    }


def event_record(stored: StoredEvent) -> dict[str, Any]:
    """Return one event as a mapping."""
    event = stored.event
    return {
        "id": stored.id,
        "run_id": stored.run_id,
        "type": str(event.type),
        "timestamp": _iso(event.timestamp),
        "level": event.level,
        "step_key": event.step_key,
        "asset_key": event.asset_key,
        "message": event.message,
        "data": event.data,
    }


def tick_record(tick: Tick) -> dict[str, Any]:
    """Return one evaluation of a schedule or sensor as a mapping."""
    return {
        "tick_id": tick.tick_id,
        "kind": str(tick.key.kind),
        "name": tick.key.name,
        "location": tick.key.location,
        "status": str(tick.status),
        "planned_at": _iso(tick.planned_at),
        "started_at": _iso(tick.started_at),
        "ended_at": _iso(tick.ended_at),
        "run_ids": list(tick.run_ids),
        "requested": tick.data.get("requested"),
        "deduplicated": list(tick.data.get("deduplicated") or ()),
        "skip_reason": tick.skip_reason,
        "cursor": tick.cursor,
        "error": _error(tick.error),
        "log": list(tick.data.get("log") or ()),
        "payload": tick.payload,
    }


def step_records(plan: ExecutionPlan) -> list[dict[str, Any]]:
    """Return the steps of a plan, in its order, as mappings."""
    return [_step_record(plan, step) for step in plan.steps]


def latest_attempts(attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return the last attempt of each step, by step key."""
    latest: dict[str, Attempt] = {}
    for attempt in attempts:
        known = latest.get(attempt.step_key)
        if known is None or attempt.attempt >= known.attempt:
            latest[attempt.step_key] = attempt
    return latest


def _step_record(plan: ExecutionPlan, step: Step) -> dict[str, Any]:
    return {
        "key": step.key,
        "op_name": step.op_name,
        "description": step.description,
        "upstream": list(plan.upstream[step.key]),
        "inputs": [item.name for item in step.inputs],
        "outputs": [item.name for item in step.outputs],
        "asset_keys": list(step.asset_keys),
        "pool": step.pool,
        "tags": step.tags,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _error(error: ErrorInfo | None) -> dict[str, Any] | None:
    if error is None:
        return None
    record: dict[str, Any] = msgspec.to_builtins(error)
    return {"cls_name": record["cls_name"], "message": record["message"], "stack": error.to_string()}
