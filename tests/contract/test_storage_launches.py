"""Reserved attempts: limits of a run before anything is started, and the one container that takes an attempt over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from orchord.events import ErrorInfo
from orchord.plan.gates import RunGate, run_pool
from orchord.runs import AttemptStatus, RunStatus
from orchord.storage import Claim, LaunchKey, Storage, WorkerRow

TWO = (RunGate(2),)


def reserved(life: Any, run: Any, step: str = "a", attempt: int = 1, gates: Any = (), **fields: Any) -> Claim:
    claim = life.claim_of(run, step, attempt, **({"worker_id": "launcher"} | fields))
    assert life.storage.launches.reserve(claim, gates).claimed
    return claim


def taken(storage: Storage, claim: Claim, token: str = "new", worker: str = "box", launch: str | None = None) -> Any:
    return storage.launches.take_over(
        claim.run_id, claim.step_key, claim.attempt, launch or claim.token, token, worker, 77
    )


def test_a_reserved_attempt_runs_and_starts_its_run_as_a_claim_does(life: Any) -> None:
    run = life.run()
    claim = life.claim_of(run, "a", worker_id="launcher")
    result = life.storage.launches.reserve(claim, TWO, want_run=True)
    assert result.claimed
    assert result.run is not None
    assert life.storage.runs.get(run.run_id).status is RunStatus.STARTED
    (attempt,) = life.storage.attempts.of_run(run.run_id)
    assert (attempt.status, attempt.worker_id, attempt.process_id) == (AttemptStatus.RUNNING, "launcher", 0)
    assert life.storage.launches.reserve(claim, TWO).claimed, "sent again with its own token"
    assert not life.storage.launches.reserve(life.claim_of(run, "a"), TWO).claimed


def test_the_one_who_takes_over_holds_the_attempt_alone(life: Any) -> None:
    run = life.run()
    claim = reserved(life, run, retry_number=3)
    over = taken(life.storage, claim)
    assert over is not None
    assert (over.attempt.retry_number, over.attempt.token, over.attempt.worker_id) == (3, "new", "box")
    assert (over.run.run_id, over.run.status) == (run.run_id, RunStatus.STARTED)
    assert not life.storage.attempts.finish(life.finish_of(claim)).accepted
    assert taken(life.storage, claim, "other", "second box") is None
    assert taken(life.storage, claim) is not None, "sent again with its own token"
    (attempt,) = life.storage.attempts.of_run(run.run_id)
    assert (attempt.worker_id, attempt.process_id) == ("box", 77)


def test_nobody_takes_over_what_is_lost_ended_or_of_a_run_that_is_over(life: Any) -> None:
    lost, ended, over = life.run(), life.run(), life.run()
    claims = [reserved(life, run) for run in (lost, ended, over)]
    life.storage.attempts.mark_lost(lost.run_id, "a", 1, life.now(), "gone")
    life.finished(claims[1])
    life.storage.runs.fail(over.run_id, _error(), life.now())
    assert [taken(life.storage, claim) for claim in claims] == [None, None, None]


def test_a_run_that_is_being_canceled_is_handed_over_and_says_so(life: Any) -> None:
    run = life.run()
    claim = reserved(life, run)
    assert life.storage.runs.begin_stop(run.run_id, _error(), life.now())
    over = taken(life.storage, claim)
    assert over is not None
    assert over.run.status is RunStatus.CANCELING


def test_of_many_who_take_over_at_once_one_has_it(life: Any, open_storage: Callable[[], Storage]) -> None:
    claim = reserved(life, life.run())
    begin, storages = threading.Barrier(8), [open_storage() for _ in range(8)]

    def take(number: int) -> bool:
        begin.wait(10)
        return taken(storages[number], claim, f"token-{number}", f"box-{number}") is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_beyond_a_runs_limit_a_step_waits_and_says_what_for(life: Any) -> None:
    run = life.run()
    first = reserved(life, run, "a", gates=TWO)
    reserved(life, run, "b", gates=TWO)
    refused = life.storage.launches.reserve(life.claim_of(run, "c"), TWO)
    assert (refused.claimed, refused.waits_for_pool) == (False, run_pool(run.run_id))
    assert life.storage.launches.call_waiters(run.run_id, TWO) == []
    life.finished(first)
    (called,) = life.storage.launches.call_waiters(run.run_id, TWO)
    assert (called.step_key, called.attempt) == ("c", 1)
    assert life.storage.launches.call_waiters(run.run_id, TWO) == [], "called once"
    newcomer = life.storage.launches.reserve(life.claim_of(run, "d"), TWO)
    assert not newcomer.claimed, "the place is kept for who was called"
    reserved(life, run, "c", gates=TWO)
    assert [waiter.step_key for waiter in life.storage.pools.waiters_of_run(run.run_id)] == ["d"]
    told = [stored.event.message for stored in life.storage.events.page(run.run_id) if stored.event.step_key == "c"]
    assert told[0] == "Step waits: its executor lets 2 run at once (max_concurrent)."


def test_a_limit_by_tag_counts_its_own_steps_alone(life: Any) -> None:
    run = life.run()
    gates = (RunGate(3), RunGate(1, frozenset({"a", "b"}), "db=main"))
    reserved(life, run, "a", gates=gates)
    assert not life.storage.launches.reserve(life.claim_of(run, "b"), gates).claimed
    reserved(life, run, "c", gates=gates)
    reserved(life, run, "d", gates=gates)
    assert not life.storage.launches.reserve(life.claim_of(run, "e"), gates).claimed
    assert life.storage.launches.call_waiters(run.run_id, gates) == []


def test_each_who_can_go_is_called_when_several_places_are_free(life: Any) -> None:
    run = life.run()
    held = [reserved(life, run, step, gates=TWO) for step in "ab"]
    for step in "cde":
        assert not life.storage.launches.reserve(life.claim_of(run, step), TWO).claimed
    for claim in held:
        life.finished(claim)
    assert [waiter.step_key for waiter in life.storage.launches.call_waiters(run.run_id, TWO)] == ["c", "d"]


def test_a_runs_limit_and_a_pool_are_both_needed(life: Any) -> None:
    life.storage.pools.set_limit("db", 1)
    run = life.run(pools=("db",))
    holder = life.claimed(life.run(), "x", pool="db")
    waits = life.storage.launches.reserve(life.claim_of(run, "a", pool="db"), TWO)
    assert waits.waits_for_pool == "db"
    life.finished(holder)
    assert [waiter.step_key for waiter in life.storage.pools.call_waiters("db")] == ["a"]
    reserved(life, run, "a", gates=TWO, pool="db")
    assert life.storage.attempts.of_run(run.run_id)[0].pool == "db"
    assert life.storage.pools.waiters_of_run(run.run_id) == []


def test_waiters_for_a_runs_limit_are_no_pool_of_peoples_lists(life: Any) -> None:
    run = life.run()
    for step in "ab":
        reserved(life, run, step, gates=TWO)
    life.storage.launches.reserve(life.claim_of(run, "c"), TWO)
    assert life.storage.pools.all() == []
    assert life.storage.pools.call_all() == []
    assert life.storage.pools.has_waiters()
    assert life.storage.launches.runs_with_waiters() == [run.run_id]
    life.storage.runs.fail(run.run_id, _error(), life.now())
    assert life.storage.pools.forget_dead() == 1


def test_reservations_in_a_race_never_pass_the_limit(life: Any, open_storage: Callable[[], Storage]) -> None:
    run = life.run()
    begin, storages = threading.Barrier(6), [open_storage() for _ in range(6)]

    def reserve(number: int) -> bool:
        begin.wait(10)
        return bool(storages[number].launches.reserve(life.claim_of(run, f"step{number}"), TWO).claimed)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(reserve, range(6))) == 2
    assert len(life.storage.pools.waiters_of_run(run.run_id)) == 4


def test_no_waiter_is_forgotten_when_places_come_free_in_the_same_moment(
    life: Any, open_storage: Callable[[], Storage]
) -> None:
    run = life.run()
    one = (RunGate(1),)
    storages = [open_storage() for _ in range(4)]
    done: list[str] = []

    def work(number: int) -> None:
        todo = [f"s{number}-{n}" for n in range(5)]
        for step in todo:
            _carry_out(life, storages[number], run, step, one, done)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    # Whoever ended last called the rest, one after another.
    while called := life.storage.launches.call_waiters(run.run_id, one):
        for waiter in called:
            _carry_out(life, life.storage, run, waiter.step_key, one, done)
    assert sorted(done) == sorted({f"s{number}-{n}" for number in range(4) for n in range(5)})


def _carry_out(life: Any, storage: Storage, run: Any, step: str, gates: Any, done: list[str]) -> None:
    claim = life.claim_of(run, step)
    if not storage.launches.reserve(claim, gates).claimed:
        return
    assert storage.attempts.finish(life.finish_of(claim)).accepted
    done.append(step)
    for waiter in storage.launches.call_waiters(run.run_id, gates):
        _carry_out(life, storage, run, waiter.step_key, gates, done)


def test_reservations_of_a_dead_launcher_are_found_and_adopted_once(life: Any) -> None:
    old = life.now() - timedelta(minutes=5)
    run = life.run()
    claim = reserved(life, run, "a", at=old)
    young = reserved(life, run, "b")
    container = reserved(life, run, "c", at=old)
    assert taken(life.storage, container) is not None
    life.storage.workers.beat(
        WorkerRow(worker_id="launcher", hostname="h", pid=1, location="", queues=("launches.docker",),
                  started_at=old, last_seen_at=old)
    )  # fmt: skip
    dead = life.storage.launches.reserved_of_dead(life.now() - timedelta(seconds=10))
    assert [(one.step_key, one.token) for one in dead] == [("a", claim.token)]
    assert [one.step_key for one in life.storage.launches.adopt(dead, "second")] == ["a"]
    assert life.storage.launches.adopt(dead, "third") == []
    assert life.storage.attempts.find(run.run_id, "a", 1).worker_id == "second"
    assert life.storage.attempts.find(run.run_id, "b", 1).token == young.token
    assert taken(life.storage, claim) is not None, "its container still takes it over"


def test_how_containers_stand_is_told_for_many_at_once(life: Any) -> None:
    run, other = life.run(), life.run()
    reserved(life, run, "a")
    keys = [
        LaunchKey(run.run_id, "a", 1), LaunchKey(run.run_id, "a", 2), LaunchKey(other.run_id), LaunchKey("gone", "a", 1)
    ]  # fmt: skip
    found = life.storage.launches.standings(keys)
    assert set(found) == set(keys[:3])
    assert found[keys[0]].attempt.status is AttemptStatus.RUNNING
    assert found[keys[0]].run_status is RunStatus.STARTED
    assert found[keys[1]].attempt is None
    assert (found[keys[2]].run_status, found[keys[2]].attempt) == (RunStatus.STARTING, None)


def _error() -> ErrorInfo:
    return ErrorInfo("X", "x")
