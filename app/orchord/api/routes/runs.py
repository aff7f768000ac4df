"""Runs: start, list, read, wait, cancel, execute again, delete. Their events and logs are in run_events.py.

``launch_run`` is the hot path: a trigger over REST pays for what is in it, so it reads nothing that it need not.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Response

from orchord.api.models.runs import (
    CancelQuery,
    LaunchBody,
    LaunchHeader,
    LaunchQuery,
    PlanBody,
    ReexecuteBody,
    RunBody,
    RunDetailBody,
    RunListQuery,
    RunPage,
    RunPath,
    WaitQuery,
)
from orchord.api.plans import output_events, plan_body, step_bodies
from orchord.api.routing import API_PREFIX, Routes, answer
from orchord.api.state import api_state, the_instance
from orchord.api.waiting import launch_and_wait, wait_for_end
from orchord.instance import LaunchRequest
from orchord.plan.gates import executor_config
from orchord.plan.model import ExecutionPlan
from orchord.runs import Run, new_run_id
from orchord.storage import RunFilter

routes = Routes("runs", "Executions of jobs.")


def run_url(run_id: str) -> str:
    """Return the path of a run."""
    return f"{API_PREFIX}/runs/{quote(run_id)}"


def shown(run: Run) -> RunBody:
    """Return a run as a body, without secrets."""
    return RunBody.of(run, api_state().shown_config(run))


def found_run(run_id: str) -> Run:
    """Return a run.

    Raises:
        RunNotFoundError: there is none with this id.
    """
    return the_instance().storage.runs.get(run_id)


@routes.post("/runs", {200: RunBody, 201: RunBody}, problems=(404, 409))
def launch_run(body: LaunchBody, query: LaunchQuery, header: LaunchHeader) -> Response:
    """Start a run of a job; with `wait_seconds`, answer when it has ended.

    201: the run was created. 200: the same `Idempotency-Key` has created it before; nothing was started. The answer
    may come before the run has ended when the time is up, or when too many requests wait already: read `status`.
    """
    state, run_id = api_state(), new_run_id()
    request = LaunchRequest(
        job_name=body.job,
        location=body.location,
        run_config=body.run_config,
        tags=body.tags,
        op_selection=body.op_selection,
        asset_selection=body.asset_selection,
        idempotency_key=header.idempotency_key,
        run_id=run_id,
    )
    if query.wait_seconds:
        run, created = launch_and_wait(state, request, run_id, query.wait_seconds)
    else:
        run, created = state.instance.launch(request)
    return answer(shown(run), 201 if created else 200, {"Location": run_url(run.run_id)})


@routes.get("/runs", {200: RunPage}, problems=(404,))
def list_runs(query: RunListQuery) -> RunPage:
    """List runs, the newest first, by pages."""
    wanted = RunFilter(
        job_name=query.job,
        location=query.location,
        statuses=tuple(query.status),
        tags=dict(tag.split("=", 1) for tag in query.tag),
        created_after=query.created_after,
        created_before=query.created_before,
        parent_run_id=query.parent,
        root_run_id=query.root,
    )
    runs = the_instance().storage.runs.page(wanted, limit=query.limit + 1, before_run_id=query.cursor)
    chosen = runs[: query.limit]
    more = len(runs) > query.limit
    return RunPage.model_construct(
        items=[shown(run) for run in chosen], next_cursor=chosen[-1].run_id if more else None
    )


@routes.get("/runs/<run_id>", {200: RunDetailBody})
def read_run(path: RunPath) -> RunDetailBody:
    """Read a run with its steps: status, attempts, times, outputs with metadata, errors."""
    run = found_run(path.run_id)
    storage = the_instance().storage
    may_wait = (run.pools or executor_config(run)) and not run.is_finished
    waiters = storage.pools.waiters_of_run(run.run_id) if may_wait else ()
    attempts, told = storage.attempts.of_run(run.run_id), output_events(storage, run.run_id)
    steps = step_bodies(run, plan_of(run), attempts, told, waiters)
    return RunDetailBody.with_steps(run, api_state().shown_config(run), steps)


@routes.get("/runs/<run_id>/plan", {200: PlanBody})
def read_run_plan(path: RunPath) -> PlanBody:
    """Read the plan that a run follows: steps and edges, as they were when it was created."""
    run = found_run(path.run_id)
    return plan_body(plan_of(run), run.step_keys)


@routes.get("/runs/<run_id>/wait", {200: RunBody})
def wait_for_run(path: RunPath, query: WaitQuery) -> RunBody:
    """Answer when a run has ended, or when the time is up: read `status`."""
    found_run(path.run_id)
    return shown(wait_for_end(api_state(), path.run_id, query.seconds))


@routes.post("/runs/<run_id>/cancel", {200: RunBody}, problems=(409,))
def cancel_run(path: RunPath, query: CancelQuery) -> RunBody:
    """Cancel a run: no further step starts, those that run are interrupted. 409 when it has ended."""
    found_run(path.run_id)
    return shown(the_instance().cancel(path.run_id, force=query.force))


@routes.post("/runs/<run_id>/reexecute", {201: RunBody}, problems=(409,))
def reexecute_run(path: RunPath, body: ReexecuteBody) -> Response:
    """Start a new run of the same job: all of it, or from failure. 409 while the old run goes on."""
    found_run(path.run_id)
    run = the_instance().reexecute(
        path.run_id, strategy=body.strategy, tags=dict(body.tags), run_config=body.run_config
    )
    return answer(shown(run), 201, {"Location": run_url(run.run_id)})


@routes.delete("/runs/<run_id>", {204: None}, problems=(409,))
def delete_run(path: RunPath) -> Response:
    """Delete a run that has ended, with its events and logs. What it told of assets remains."""
    found_run(path.run_id)
    the_instance().delete_run(path.run_id)
    return Response(status=204)


def plan_of(run: Run) -> ExecutionPlan:
    """Return the whole plan of the job that a run runs, as it was when the run was created."""
    return the_instance().job_snapshot(run.job_snapshot_id).plan
