"""Pools: slots that are granted with a claim, waiters in their order, calls that reserve, limits that people set."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from orchord.events import ErrorInfo
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage import Claim, ClaimResult, Finish, PoolWaiter, Storage
from orchord.storage.pool_store import REMINDED_AFTER, RESERVED_FOR, PoolRules
from orchord.storage.schema import pool_waiters


class Pools:
    """Makes runs and claims their steps in pool 'db'."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def run(self, priority: int = 0) -> str:
        now = datetime.now(UTC)
        run = Run(
            run_id=new_run_id(), job_name="j", location="home", status=RunStatus.STARTING, job_snapshot_id="s",
            created_at=now, priority=priority, pools=("db",),
        )  # fmt: skip
        self.storage.runs.create(run)
        return run.run_id

    def claim(self, run_id: str, step: str = "a", *, token: str | None = None, attempt: int = 1) -> ClaimResult:
        return self.storage.attempts.claim(self.wish(run_id, step, token=token, attempt=attempt), want_run=True)

    def wish(
        self, run_id: str, step: str = "a", *, token: str | None = None, attempt: int = 1, in_place: bool = False
    ) -> Claim:
        return Claim(
            run_id=run_id, step_key=step, attempt=attempt, token=token or f"t-{run_id}-{step}-{attempt}",
            worker_id="w", process_id=7, at=datetime.now(UTC), pool="db", in_place=in_place,
        )  # fmt: skip

    def finish(
        self, run_id: str, step: str = "a", status: AttemptStatus = AttemptStatus.SUCCESS, attempt: int = 1
    ) -> None:
        now = datetime.now(UTC)
        finish = Finish(
            run_id, step, attempt, f"t-{run_id}-{step}-{attempt}", status, now,
            retry_at=now if status is AttemptStatus.UP_FOR_RETRY else None,
        )  # fmt: skip
        assert self.storage.attempts.finish(finish).accepted

    def forget_calls(self, after: timedelta = RESERVED_FOR) -> None:
        """Let the time pass in which calls reserve slots."""
        passed = datetime.now(UTC) - after - timedelta(seconds=1)
        self.storage.database.transact(
            lambda connection: connection.execute(
                sa.update(pool_waiters).where(pool_waiters.c.called_at.is_not(None)).values(called_at=passed)
            )
        )


@pytest.fixture
def pools(storage: Storage) -> Pools:
    storage.pools.set_limit("db", 1)
    return Pools(storage)


def test_a_claim_beyond_the_limit_waits_and_says_for_which_pool(pools: Pools) -> None:
    first, second = pools.run(), pools.run()
    won = pools.claim(first)
    assert won.claimed
    assert won.run is not None
    assert pools.storage.attempts.of_run(first)[0].pool == "db"
    refused = pools.claim(second)
    assert (refused.claimed, refused.waits_for_pool) == (False, "db")
    (waiter,) = pools.storage.pools.waiters_of_run(second)
    assert (waiter.step_key, waiter.pool, waiter.called_at) == ("a", "db", None)
    assert pools.storage.runs.get(second).status is RunStatus.STARTING


def test_that_a_step_waits_is_told_once_in_its_runs_events(pools: Pools) -> None:
    first, second = pools.run(), pools.run()
    pools.claim(first)
    for _ in range(3):
        pools.claim(second)
    told = [stored.event.message for stored in pools.storage.events.page(second)]
    assert told == ["Step waits for a free slot of pool 'db'."]


@pytest.mark.parametrize("status", [AttemptStatus.SUCCESS, AttemptStatus.FAILURE, AttemptStatus.UP_FOR_RETRY])
def test_however_an_attempt_ends_its_slot_is_free(pools: Pools, status: AttemptStatus) -> None:
    first, second = pools.run(), pools.run()
    pools.claim(first)
    pools.claim(second)
    pools.finish(first, status=status)
    (called,) = pools.storage.pools.call_waiters("db")
    assert called.run_id == second
    assert pools.claim(second).claimed
    assert pools.storage.pools.waiters("db") == []


def test_the_slot_of_a_lost_attempt_and_of_a_failed_run_is_free(pools: Pools) -> None:
    first, second, third = pools.run(), pools.run(), pools.run()
    pools.claim(first)
    pools.storage.attempts.mark_lost(first, "a", 1, datetime.now(UTC), "gone")
    assert pools.claim(second).claimed
    pools.storage.runs.fail(second, ErrorInfo("X", "x"), datetime.now(UTC))
    assert pools.claim(third).claimed


def test_nobody_goes_before_a_waiter_that_came_earlier(pools: Pools) -> None:
    first, second, third = pools.run(), pools.run(), pools.run()
    pools.claim(first)
    pools.claim(second)
    pools.finish(first)
    assert pools.claim(third).waits_for_pool == "db"
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [second]
    assert pools.claim(third).waits_for_pool == "db"
    assert pools.claim(second).claimed


def test_waiters_of_runs_with_a_higher_priority_go_first(pools: Pools) -> None:
    holder, low, high = pools.run(), pools.run(0), pools.run(9)
    for run_id in (holder, low, high):
        pools.claim(run_id)
    pools.finish(holder)
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [high]


def test_a_call_reserves_the_slot_only_for_a_while_and_others_then_go_first(pools: Pools) -> None:
    holder, silent, patient = pools.run(), pools.run(), pools.run()
    for run_id in (holder, silent, patient):
        pools.claim(run_id)
    pools.finish(holder)
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [silent]
    assert pools.storage.pools.call_waiters("db") == []
    pools.forget_calls()
    assert [waiter.run_id for waiter in pools.storage.pools.call_all()] == [patient]
    assert pools.claim(patient).claimed
    pools.finish(patient)
    assert [waiter.run_id for waiter in pools.storage.pools.call_all()] == [silent]


def test_one_whose_call_was_lost_gets_its_turn_though_others_never_cease_to_come(pools: Pools) -> None:
    holder, unlucky = pools.run(), pools.run()
    pools.claim(holder)
    pools.claim(unlucky)
    pools.finish(holder)
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [unlucky]
    pools.forget_calls()
    others = [pools.run() for _ in range(3)]
    assert pools.claim(others[0]).claimed
    for other in others[1:]:
        assert pools.claim(other).waits_for_pool == "db"
    # The pool is full, and others wait; nobody is called for now.
    assert pools.storage.pools.call_all() == []
    pools.forget_calls(REMINDED_AFTER)
    assert [waiter.run_id for waiter in pools.storage.pools.call_all()] == [unlucky]
    assert pools.storage.pools.call_all() == []
    assert pools.claim(unlucky).waits_for_pool == "db"
    pools.finish(others[0])
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [unlucky]


def test_a_reminder_keeps_no_slot_from_those_who_come(pools: Pools) -> None:
    holder, silent, patient = pools.run(), pools.run(), pools.run()
    for run_id in (holder, silent, patient):
        pools.claim(run_id)
    pools.finish(holder)
    pools.storage.pools.call_waiters("db")
    pools.forget_calls(REMINDED_AFTER)
    assert [waiter.run_id for waiter in pools.storage.pools.call_all()] == [patient, silent]
    assert pools.claim(patient).claimed


def test_a_claim_that_is_sent_again_with_its_token_is_told_that_it_has_won(pools: Pools) -> None:
    run_id = pools.run()
    assert pools.claim(run_id).claimed
    assert pools.claim(run_id).claimed
    other = pools.claim(run_id, token="other")
    assert (other.claimed, other.existing, other.waits_for_pool) == (False, AttemptStatus.RUNNING, None)


def test_a_step_of_a_run_that_ends_waits_no_longer(pools: Pools) -> None:
    first, second = pools.run(), pools.run()
    pools.claim(first)
    pools.claim(second)
    pools.storage.runs.fail(second, None, datetime.now(UTC))
    pools.finish(first)
    assert pools.storage.pools.call_waiters("db") == []
    assert pools.claim(second).run_status is RunStatus.FAILURE
    assert pools.storage.pools.waiters("db") == []


@pytest.mark.parametrize("was_called", [False, True])
def test_a_waiter_whose_run_has_ended_holds_up_nobody(pools: Pools, was_called: bool) -> None:
    holder, ended, patient = pools.run(), pools.run(), pools.run()
    for run_id in (holder, ended, patient):
        pools.claim(run_id)
    if was_called:
        pools.finish(holder)
        assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [ended]
    pools.storage.runs.fail(ended, None, datetime.now(UTC))
    if not was_called:
        pools.finish(holder)
    assert [waiter.run_id for waiter in pools.storage.pools.call_waiters("db")] == [patient]
    assert pools.claim(patient).claimed


def test_waiters_of_runs_that_have_ended_are_taken_away(pools: Pools) -> None:
    first, second = pools.run(), pools.run()
    pools.claim(first)
    pools.claim(second)
    assert pools.storage.pools.forget_dead() == 0
    pools.storage.runs.fail(second, None, datetime.now(UTC))
    assert pools.storage.pools.forget_dead() <= 1
    assert pools.storage.pools.waiters("db") == []


def test_a_process_that_waits_in_place_is_known_and_can_be_forgotten(pools: Pools) -> None:
    first, second = pools.run(), pools.run()
    pools.claim(first)
    pools.storage.attempts.claim(pools.wish(second, in_place=True))
    assert pools.storage.pools.waiters("db")[0].worker_id == "w"
    pools.storage.pools.forget_process("w", 8)
    assert len(pools.storage.pools.waiters("db")) == 1
    pools.storage.pools.forget_process("w", 7)
    assert pools.storage.pools.waiters("db") == []


def test_limits_are_set_raised_and_given_back(pools: Pools) -> None:
    store = pools.storage.pools
    store.set_limit("db", 3)
    assert store.limits() == {"db": 3}
    first = pools.run()
    pools.claim(first, "a")
    pools.claim(first, "b")
    (state,) = store.all()
    assert (state.name, state.limit, state.is_default, state.running, state.waiting) == ("db", 3, False, 2, 0)
    assert [(holder.step_key, holder.process_id) for holder in store.holders("db")] == [("a", 7), ("b", 7)]
    assert store.delete_limit("db")
    assert not store.delete_limit("db")
    assert store.all()[0].limit is None


def test_without_a_limit_of_its_own_a_pool_has_the_default_and_without_that_none(storage: Storage) -> None:
    pools = Pools(storage)
    assert all(pools.claim(pools.run()).claimed for _ in range(3))
    storage.pools.rules = PoolRules(default_limit=4)
    assert pools.claim(pools.run()).claimed
    assert pools.claim(pools.run()).waits_for_pool == "db"
    assert storage.pools.all()[0].is_default


def test_a_limit_of_0_lets_nobody_in(pools: Pools) -> None:
    pools.storage.pools.set_limit("db", 0)
    assert pools.claim(pools.run()).waits_for_pool == "db"
    assert pools.storage.pools.call_all() == []


def test_where_pools_count_runs_steps_need_no_slot(pools: Pools) -> None:
    pools.storage.pools.rules = PoolRules(per_run=True)
    assert all(pools.claim(pools.run()).claimed for _ in range(3))
    assert pools.storage.pools.all()[0].running == 0


def test_many_processes_that_claim_at_once_never_exceed_the_limit(open_storage: Callable[[], Storage]) -> None:
    first = open_storage()
    first.pools.set_limit("db", 3)
    runs = [Pools(first).run() for _ in range(12)]
    results: list[bool] = []
    ready = threading.Barrier(4)

    def work(own: list[str]) -> None:
        pools = Pools(open_storage())
        ready.wait()
        for run_id in own:
            results.append(pools.claim(run_id, token=secrets.token_hex(4)).claimed)

    threads = [threading.Thread(target=work, args=(runs[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 3
    assert len(first.pools.waiters("db")) == 9


def test_a_slot_that_comes_free_while_a_step_is_put_among_the_waiters_is_not_missed(
    open_storage: Callable[[], Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = open_storage(), open_storage()
    if not first.database.is_postgres:
        pytest.skip("SQLite has one write lock: nothing ends in between")
    first.pools.set_limit("db", 1)
    ours, theirs = Pools(first), Pools(second)
    holder, late = ours.run(), ours.run()
    ours.claim(holder)
    called: list[PoolWaiter] = []
    wait = second.pools._wait

    def slowly(*arguments: Any) -> None:
        if not called and first.attempts.of_run(holder)[0].status is AttemptStatus.RUNNING:
            ours.finish(holder)
            called.extend(first.pools.call_waiters("db"))
        wait(*arguments)

    monkeypatch.setattr(second.pools, "_wait", slowly)
    assert theirs.claim(late).claimed
    assert called == []
    assert first.pools.waiters("db") == []
