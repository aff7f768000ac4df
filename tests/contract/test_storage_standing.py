"""How a worker's work on runs stands, by the database."""

from __future__ import annotations

from orchord.events import utc_now
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage.values import Claim, Finish


def a_run(storage) -> str:
    run = Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", utc_now())
    storage.runs.create(run, [])
    return run.run_id


def claim(storage, run_id: str, step_key: str, token: str, worker_id: str) -> None:
    wanted = Claim(run_id, step_key, 1, token, worker_id, utc_now(), process_id=7)
    assert storage.attempts.claim(wanted).claimed


def test_a_worker_sees_the_status_of_its_runs_and_its_own_running_attempts_alone(storage) -> None:
    run_id, other, deleted = a_run(storage), a_run(storage), new_run_id()
    for step_key, token, worker_id in (("a", "t1", "w1"), ("b", "t2", "w1"), ("c", "t3", "w2")):
        claim(storage, run_id, step_key, token, worker_id)
    storage.attempts.finish(Finish(run_id, "b", 1, "t2", AttemptStatus.SUCCESS, utc_now()))
    standings = storage.attempts.standing("w1", [run_id, other, deleted])
    assert set(standings) == {run_id, other}
    assert (standings[run_id].status, standings[run_id].tokens) == (RunStatus.STARTED, frozenset({"t1"}))
    assert (standings[other].status, standings[other].tokens) == (RunStatus.STARTING, frozenset())
