"""The run queue: who leaves it, in which order, by which limits, under one lock, and why the others wait."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from orchord.events import ErrorInfo
from orchord.instance.run_limits import QueueLimits, RunLimits
from orchord.instance.sections import TagConcurrencyLimit
from orchord.runs import Run, RunStatus, new_run_id
from orchord.storage import Claim, Storage
from orchord.storage.postgres_queue import _LOCK, _LOOK, _MOVED_ALL
from orchord.storage.postgres_statements import GATE_CLASS
from orchord.storage.queue_store import _MOVE, UNDER_WAY
from orchord.storage.run_rows import insert_runs


def queued(
    storage: Storage,
    priority: int = 0,
    pools: Sequence[str] = (),
    blocking: Sequence[str] = (),
    **tags: str,
) -> str:
    """Put a run into the queue; return its id."""
    run = Run(
        run_id=new_run_id(), job_name="j", location="home", status=RunStatus.QUEUED, job_snapshot_id="s",
        created_at=datetime.now(UTC), priority=priority, pools=tuple(pools), blocking_pools=tuple(blocking), tags=tags,
    )  # fmt: skip
    storage.runs.create(run)
    return run.run_id


def take(storage: Storage, limit: int = 100, **limits: object) -> list[str]:
    """Take runs out of the queue; return their ids."""
    taken = storage.queue.take(RunLimits(QueueLimits(**limits)), limit)  # type: ignore[arg-type]
    assert taken is not None
    return [run.run_id for run in taken]


def by_tag(key: str, limit: int, value: str | None = None, *, each: bool = False) -> TagConcurrencyLimit:
    return TagConcurrencyLimit(key=key, limit=limit, value=value, per_unique_value=each)


def end(storage: Storage, run_id: str) -> None:
    storage.runs.fail(run_id, ErrorInfo("X", "x"), datetime.now(UTC))


def test_the_oldest_go_first_up_to_the_limit_and_further_ones_as_runs_end(storage: Storage) -> None:
    runs = [queued(storage) for _ in range(5)]
    assert take(storage, max_concurrent_runs=2) == runs[:2]
    assert take(storage, max_concurrent_runs=2) == []
    end(storage, runs[0])
    assert take(storage, max_concurrent_runs=2) == [runs[2]]
    assert storage.queue.depth() == 2
    assert storage.queue.has_runs()


def test_those_with_a_higher_priority_go_before_older_ones(storage: Storage) -> None:
    low, middle, high = queued(storage, -3), queued(storage), queued(storage, 7)
    assert take(storage) == [high, middle, low]
    assert not storage.queue.has_runs()


def test_a_run_that_leaves_is_starting_and_says_so(storage: Storage) -> None:
    run_id = queued(storage)
    take(storage)
    run = storage.runs.get(run_id)
    assert (run.status, run.waits_for) == (RunStatus.STARTING, None)
    assert [str(stored.event.type) for stored in storage.events.page(run_id)] == ["RUN_DEQUEUED", "RUN_STARTING"]
    assert [(c.run_id, c.status) for c in storage.changes.page()][-1] == (run_id, RunStatus.STARTING)


def test_a_limit_of_0_lets_none_go_and_none_lets_all(storage: Storage) -> None:
    runs = [queued(storage) for _ in range(12)]
    assert take(storage, max_concurrent_runs=0) == []
    assert take(storage, max_concurrent_runs=None) == runs


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (by_tag("team", 1), "0"),
        (by_tag("team", 2, "a"), "0123"),
        (by_tag("team", 1, each=True), "03"),
        (by_tag("team", 0, "a"), "3"),
        (by_tag("team", 0, each=True), ""),
    ],
)
def test_limits_by_tag_count_a_value_any_value_or_each_value(
    storage: Storage, limit: TagConcurrencyLimit, expected: str
) -> None:
    teams = ["a", "a", "b", "b"] if limit.value == "a" and limit.limit else ["a", "a", "a", "b"]
    runs = [queued(storage, team=team) for team in teams]
    free = queued(storage)
    wanted = [runs[int(number)] for number in expected]
    assert take(storage, max_concurrent_runs=None, tag_limits=(limit,)) == [*wanted, free]


def test_several_limits_hold_together(storage: Storage) -> None:
    limits = (by_tag("team", 2), by_tag("kind", 1, "big"))
    runs = [queued(storage, team="a", kind=kind) for kind in ("big", "big", "small", "small")]
    assert take(storage, tag_limits=limits) == [runs[0], runs[2]]
    end(storage, runs[2])
    assert take(storage, tag_limits=limits) == [runs[3]]


def test_runs_that_cannot_go_do_not_keep_back_those_behind_them(storage: Storage) -> None:
    for _ in range(300):
        queued(storage, team="full")
    behind = [queued(storage, team="free") for _ in range(3)]
    limits = (by_tag("team", 0, "full"),)
    assert take(storage, max_concurrent_runs=None, tag_limits=limits) == behind


def test_a_run_whose_first_steps_would_all_wait_for_pools_stays(storage: Storage) -> None:
    storage.pools.set_limit("db", 1)
    first, second = (queued(storage, pools=["db"], blocking=["db"]) for _ in range(2))
    other = queued(storage, pools=["db"])
    either = queued(storage, pools=["db", "web"], blocking=["db", "web"])
    assert take(storage, max_concurrent_runs=None) == [first, other, either]
    claim = Claim(first, "a", 1, "t", "w", datetime.now(UTC), pool="db")
    assert storage.attempts.claim(claim).claimed
    assert take(storage, max_concurrent_runs=None) == []
    assert take(storage, max_concurrent_runs=None, pool_buffer=2) == [second]


def test_without_that_block_they_go(storage: Storage) -> None:
    storage.pools.set_limit("db", 0)
    run_id = queued(storage, pools=["db"], blocking=["db"])
    assert take(storage, blocks_on_pools=False) == [run_id]


def test_pools_that_count_runs_let_only_so_many_go(storage: Storage) -> None:
    storage.pools.set_limit("db", 2)
    runs = [queued(storage, pools=["db"]) for _ in range(3)]
    free = queued(storage, pools=["other"])
    assert take(storage, runs_per_pool=True) == [*runs[:2], free]
    end(storage, runs[0])
    assert take(storage, runs_per_pool=True) == [runs[2]]
    assert take(storage, runs_per_pool=True, default_pool_limit=1) == []


def test_runs_that_a_tick_has_made_count_for_pools_too(storage: Storage) -> None:
    storage.pools.set_limit("db", 1)
    made = [
        Run(
            run_id=new_run_id(), job_name="j", location="home", status=RunStatus.QUEUED, job_snapshot_id="s",
            created_at=datetime.now(UTC), pools=("db",), blocking_pools=("db",),
        )
        for _ in range(2)
    ]  # fmt: skip
    storage.database.transact(lambda connection: insert_runs(connection, [(run, ()) for run in made]))
    assert take(storage, runs_per_pool=True) == [made[0].run_id]
    assert take(storage, runs_per_pool=True) == []


def test_what_is_counted_for_pools_is_not_among_a_runs_tags(storage: Storage) -> None:
    run_id = queued(storage, pools=["db"], blocking=["db"], team="a")
    assert storage.runs.get(run_id).tags == {"team": "a"}


def test_why_a_run_waits_is_noted_and_changes_only_with_the_reason(storage: Storage) -> None:
    limits = QueueLimits(max_concurrent_runs=2, tag_limits=(by_tag("team", 1, each=True),))
    runs = [queued(storage, team="a"), queued(storage, team="a"), queued(storage, team="b"), queued(storage)]
    look = RunLimits(limits)
    assert storage.queue.take(look) is not None
    assert storage.queue.explain(look.full, look.reason) == 2
    assert storage.queue.explain(look.full, look.reason) == 0
    assert [storage.runs.get(run_id).waits_for for run_id in runs] == [
        None,
        "As many runs with the tag team: a are under way as tag_concurrency_limits allows: 1.",
        None,
        "As many runs are under way as max_concurrent_runs allows: 2.",
    ]
    assert look.reason_of(storage.runs.get(runs[1])) == storage.runs.get(runs[1]).waits_for
    end(storage, runs[0])
    take(storage)
    assert storage.runs.get(runs[1]).waits_for is None


def test_that_the_queue_is_paused_is_a_reason(storage: Storage) -> None:
    run_id = queued(storage)
    look = RunLimits(QueueLimits(max_concurrent_runs=0))
    storage.queue.take(look)
    storage.queue.explain(look.full, look.reason)
    assert storage.runs.get(run_id).waits_for == "The run queue is paused: max_concurrent_runs is 0."


def test_that_a_pool_is_full_is_a_reason(storage: Storage) -> None:
    storage.pools.set_limit("db", 0)
    run_id = queued(storage, pools=["db"], blocking=["db"])
    for limits, reason in (
        (QueueLimits(), "Its first steps would wait for a slot: none is free in pool 'db'."),
        (QueueLimits(runs_per_pool=True), "As many runs are in pool 'db' as its limit allows: 0."),
    ):
        look = RunLimits(limits)
        storage.queue.take(look)
        storage.queue.explain(look.full, look.reason)
        assert storage.runs.get(run_id).waits_for == reason


def test_processes_that_take_at_once_never_exceed_limits_and_take_no_run_twice(
    open_storage: Callable[[], Storage],
) -> None:
    storage = open_storage()
    runs = [queued(storage, team="ab"[number % 2]) for number in range(60)]
    limits = QueueLimits(max_concurrent_runs=7, tag_limits=(by_tag("team", 4, each=True), by_tag("team", 2, "b")))
    taken: list[str] = []
    faults: list[str] = []
    ready = threading.Barrier(3)

    def check(store: Storage) -> None:
        counts: Counter[str] = Counter()
        for status in UNDER_WAY:
            counts.update(run.tags["team"] for run in store.runs.page(limit=100) if run.status == status)
        if counts.total() > 7 or counts["a"] > 4 or counts["b"] > 2:
            faults.append(str(counts))

    def work() -> None:
        own = open_storage()
        ready.wait()
        while len(taken) < len(runs) and not faults:
            for run in own.queue.take(RunLimits(limits), 3) or []:
                taken.append(run.run_id)
                check(own)
                end(own, run.run_id)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert sorted(taken) == sorted(runs)


def test_a_look_that_does_not_wait_gives_way_to_one_that_goes_on(open_storage: Callable[[], Storage]) -> None:
    first, second = open_storage(), open_storage()
    if not first.database.is_postgres:
        pytest.skip("SQLite has one write lock, and waits for it")
    queued(first)
    answers: list[object] = []

    class Slow(RunLimits):
        def admit(self, run: Run) -> bool:
            answers.append(second.queue.take(RunLimits(QueueLimits()), waits=False))
            return super().admit(run)

    assert first.queue.take(Slow(QueueLimits())) is not None
    assert answers == [None]


class TestTheQuickLook:
    """What a submission does on PostgreSQL: two round trips, and a longer look when these are not enough."""

    LIMITS = QueueLimits(max_concurrent_runs=2, tag_limits=(by_tag("team", 1, each=True),))

    @pytest.fixture(autouse=True)
    def _only_postgres(self, storage: Storage) -> None:
        if not storage.database.is_postgres:
            assert storage.queue.take_quickly(RunLimits(self.LIMITS), 4) is None
            pytest.skip("SQLite has one look")

    def quick(self, storage: Storage) -> list[str] | None:
        taken = storage.queue.take_quickly(RunLimits(self.LIMITS), 4)
        return None if taken is None else [run.run_id for run in taken]

    def test_the_first_in_line_go_as_by_the_longer_look(self, storage: Storage) -> None:
        runs = [queued(storage, team=team) for team in "abc"]
        assert self.quick(storage) == runs[:2]
        assert self.quick(storage) == []
        assert [storage.runs.get(run_id).status for run_id in runs] == ["STARTING", "STARTING", "QUEUED"]
        assert [str(stored.event.type) for stored in storage.events.page(runs[0])] == ["RUN_DEQUEUED", "RUN_STARTING"]
        assert len(storage.changes.page()) == 5
        end(storage, runs[0])
        assert self.quick(storage) == runs[2:]

    def test_where_one_is_held_back_or_has_pools_nothing_changes(self, storage: Storage) -> None:
        queued(storage, team="a")
        queued(storage, team="a")
        assert self.quick(storage) is None
        for run in storage.runs.page():
            end(storage, run.run_id)
        with_pool = queued(storage, pools=["db"])
        assert self.quick(storage) is None
        assert storage.runs.get(with_pool).status is RunStatus.QUEUED

    def test_it_gives_way_to_another_look(self, open_storage: Callable[[], Storage]) -> None:
        first, second = open_storage(), open_storage()
        queued(first)
        answers: list[object] = []

        class Slow(RunLimits):
            def admit(self, run: Run) -> bool:
                answers.append(second.queue.take_quickly(RunLimits(QueueLimits()), 4))
                return super().admit(run)

        assert first.queue.take(Slow(QueueLimits())) is not None
        assert answers == [None]

    def test_a_run_that_is_just_being_canceled_is_left_alone(self, open_storage: Callable[[], Storage]) -> None:
        first, second = open_storage(), open_storage()
        run_id = queued(first)

        class Late(RunLimits):
            def admit(self, run: Run) -> bool:
                end(second, run.run_id)
                return super().admit(run)

        assert first.queue.take_quickly(Late(QueueLimits()), 4) is None
        assert first.runs.get(run_id).status is RunStatus.FAILURE
        assert take(first) == []

    def test_it_goes_by_indices_though_its_plans_were_made_for_small_tables(self, storage: Storage) -> None:
        for _ in range(8):
            queued(storage)
            for run_id in self.quick(storage) or []:
                end(storage, run_id)
        storage.database.transact(lambda connection: connection.execute(sa.text("ANALYZE")))
        look = {"lock_class": 1, "what": 1, "keys": ["team"], "size": 4}
        move = {
            "run_ids": [queued(storage)], "gates": [1], "at": datetime.now(UTC), "gate_class": GATE_CLASS, "expected": 1
        }  # fmt: skip
        plans = []
        for sql, parameters in ((_LOOK, look), (_MOVE + _MOVED_ALL, move)):
            with storage.database.raw_cursor() as cursor:
                cursor.execute(_LOCK + "EXPLAIN (FORMAT JSON) ", sql, "", look | parameters)
                plans.append(str(cursor.row()))
                cursor.roll_back()
        assert "ix_runs_queue" in plans[0]
        assert ["Seq Scan" in plan for plan in plans] == [False, False]

    def test_behind_a_pooler_that_loses_what_was_prepared_it_goes_on_without(self, storage: Storage) -> None:
        first = queued(storage)
        assert self.quick(storage) == [first]
        second = queued(storage)
        connection = storage.database.engine.raw_connection()
        connection.cursor().execute("DEALLOCATE ALL")
        connection.close()
        assert self.quick(storage) is None
        assert self.quick(storage) == [second]
