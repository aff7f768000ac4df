"""Waiting for the end of a run on behalf of a request, within the server's bounds.

The watch is registered before the run is launched, so that an end between the two is not missed. How a watch learns
of the end is the run launcher's matter; the places for waiting requests are in state.py.
"""

from __future__ import annotations

from contextlib import ExitStack

from orchord.api.state import ApiState
from orchord.instance import LaunchRequest, RunWatch
from orchord.runs import Run


def launch_and_wait(state: ApiState, request: LaunchRequest, run_id: str, seconds: float) -> tuple[Run, bool]:
    """Launch a run and wait for its end, at most ``seconds``; return it as it then is, and whether it was created.

    When all places are taken, it is launched and returned at once.
    """
    with ExitStack() as stack:
        watch = None
        if stack.enter_context(state.holding.place()):
            watch = stack.enter_context(state.instance.watch(run_id))
        run, created = state.instance.launch(request)
        if run.status.is_terminal or watch is None:
            return run, created
        if run.run_id == run_id:
            _watch_until(state, watch, seconds)
        else:
            with state.instance.watch(run.run_id) as other:
                _watch_until(state, other, seconds)
        return state.instance.storage.runs.get(run.run_id), created


def wait_for_end(state: ApiState, run_id: str, seconds: float) -> Run:
    """Wait for a run's end, at most ``seconds``, and return it as it then is; at once when all places are taken."""
    with ExitStack() as stack:
        if stack.enter_context(state.holding.place()) and seconds:
            watch = stack.enter_context(state.instance.watch(run_id))
            # Read after the watch is registered: what ended before that is seen here.
            run = state.instance.storage.runs.get(run_id)
            if run.status.is_terminal:
                return run
            _watch_until(state, watch, seconds)
    return state.instance.storage.runs.get(run_id)


def _watch_until(state: ApiState, watch: RunWatch, seconds: float) -> None:
    for piece in state.holding.slices(seconds):
        if watch.wait(piece):
            return
