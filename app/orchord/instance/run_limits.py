"""Which of the queued runs may go: the limits of the run queue, applied to one look at it. Pure.

The settings come from coordinators.py, what runs now and the queue itself from orchord.storage.queue_store.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from orchord.instance.sections import TagConcurrencyLimit
from orchord.runs import Run
from orchord.storage.encoding import FIRST_POOLS_TAG, POOL_TAG, first_pools_value, indexed_tags
from orchord.storage.queue_store import Full, PoolsUnderWay, PoolUse, UnderWay

DEFAULT_MAX_CONCURRENT_RUNS = 10


class QueueLimits(msgspec.Struct, frozen=True):
    """How many runs may be under way at once: STARTING, STARTED or CANCELING.

    Attributes:
        max_concurrent_runs: of all runs; None: no limit; 0: none goes.
        tag_limits: of runs with a tag.
        blocks_on_pools: whether a run waits in the queue while all its first steps would wait for a pool.
        pool_buffer: how many more than a pool has slots are let go nevertheless.
        runs_per_pool: whether the pools' limits count runs (granularity ``run``).
        default_pool_limit: the limit of pools that have none of their own; None: no limit.
    """

    max_concurrent_runs: int | None = DEFAULT_MAX_CONCURRENT_RUNS
    tag_limits: tuple[TagConcurrencyLimit, ...] = ()
    blocks_on_pools: bool = True
    pool_buffer: int = 0
    runs_per_pool: bool = False
    default_pool_limit: int | None = None


class RunLimits:
    """One look at the queue: a Chooser of orchord.storage.queue_store."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.tag_keys = frozenset(limit.key for limit in limits.tag_limits)
        self.looks_at_pools = limits.blocks_on_pools or limits.runs_per_pool
        self._total = 0
        self._tags: dict[tuple[str, str], int] = {}
        self._keys: dict[str, int] = {}
        self._pool_runs: dict[str, int] = {}
        self._pools: dict[str, PoolUse] = {}
        self._full: dict[tuple[str, str | None], Full] = {}

    def begin(self, under_way: UnderWay) -> None:
        """Take note of what runs now."""
        self._total = under_way.total
        self._tags = dict(under_way.tags)
        for (key, _), count in self._tags.items():
            self._keys[key] = self._keys.get(key, 0) + count
        for limit in self.limits.tag_limits:
            if limit.per_unique_value:
                for key, value in self._tags:
                    if key == limit.key:
                        self._note_tag(limit, value)
            else:
                self._note_tag(limit, limit.value)

    def learn_pools(self, pools: PoolsUnderWay) -> None:
        """Take note of how full the pools are."""
        self._pool_runs, self._pools = dict(pools.runs), dict(pools.steps)
        for pool in self._pool_runs.keys() | self._pools.keys():
            self._note_pool_run(pool)

    @property
    def room(self) -> int | None:
        """How many more runs may go whatever their tags are; None: any number."""
        most = self.limits.max_concurrent_runs
        return None if most is None else max(0, most - self._total)

    @property
    def full(self) -> Sequence[Full]:
        """The limits that are reached so far."""
        return tuple(self._full.values())

    @property
    def reason(self) -> str | None:
        """Why runs wait that no narrower limit holds back; None: they are about to go."""
        most = self.limits.max_concurrent_runs
        if most is None or self._total < most:
            return None
        if most == 0:
            return "The run queue is paused: max_concurrent_runs is 0."
        return f"As many runs are under way as max_concurrent_runs allows: {most}."

    def reason_of(self, run: Run) -> str | None:
        """Return why a run waits, as far as this look tells; None: it may be about to go."""
        tags = indexed_tags(run)
        fits = (item.reason for item in self.full if item.key in tags and item.value in (None, tags[item.key]))
        return next(fits, self.reason)

    def admit(self, run: Run) -> bool:
        """Count the run in and return True, or return False when a limit holds it back."""
        if self.room == 0 or self._is_held_back(run):
            return False
        self._total += 1
        for key, value in run.tags.items():
            if key in self.tag_keys:
                self._tags[key, value] = self._tags.get((key, value), 0) + 1
                self._keys[key] = self._keys.get(key, 0) + 1
        for pool in run.pools:
            self._pool_runs[pool] = self._pool_runs.get(pool, 0) + 1
            self._note_pool_run(pool)
        for pool in run.blocking_pools:
            use = self._pools.get(pool, PoolUse())
            self._pools[pool] = PoolUse(use.used + 1, use.limit)
        for limit in self.limits.tag_limits:
            if limit.key in run.tags:
                self._note_tag(limit, run.tags[limit.key] if limit.per_unique_value else limit.value)
        return True

    def _is_held_back(self, run: Run) -> bool:
        for limit in self.limits.tag_limits:
            value = run.tags.get(limit.key)
            if value is None or (limit.value is not None and value != limit.value):
                continue
            # Asked of each run too: a limit of 0 is reached by values of which nothing runs.
            if self._note_tag(limit, value if limit.per_unique_value else limit.value):
                return True
        if self.limits.runs_per_pool and any(self._note_pool_run(pool) for pool in run.pools):
            return True
        return self.limits.blocks_on_pools and not self.limits.runs_per_pool and self._first_steps_would_wait(run)

    def _note_tag(self, limit: TagConcurrencyLimit, value: str | None) -> bool:
        """Return whether a limit is reached, and note that."""
        used = self._keys.get(limit.key, 0) if value is None else self._tags.get((limit.key, value), 0)
        if used < limit.limit:
            return False
        shown = limit.key if value is None else f"{limit.key}: {value}"
        reason = f"As many runs with the tag {shown} are under way as tag_concurrency_limits allows: {limit.limit}."
        self._full.setdefault((limit.key, value), Full(limit.key, value, reason))
        return True

    def _note_pool_run(self, pool: str) -> bool:
        limit = self._limit_of(pool)
        if not self.limits.runs_per_pool or limit is None or self._pool_runs.get(pool, 0) < limit:
            return False
        reason = f"As many runs are in pool '{pool}' as its limit allows: {limit}."
        self._full.setdefault((POOL_TAG + pool, None), Full(POOL_TAG + pool, None, reason))
        return True

    def _first_steps_would_wait(self, run: Run) -> bool:
        if not run.blocking_pools:
            return False
        for pool in run.blocking_pools:
            limit = self._limit_of(pool)
            if limit is None or self._pools.get(pool, PoolUse()).used < limit + self.limits.pool_buffer:
                return False
        value = first_pools_value(run.blocking_pools)
        names = ", ".join(f"'{pool}'" for pool in run.blocking_pools)
        reason = f"Its first steps would wait for a slot: none is free in {_pools_word(run.blocking_pools)} {names}."
        self._full.setdefault((FIRST_POOLS_TAG, value), Full(FIRST_POOLS_TAG, value, reason))
        return True

    def _limit_of(self, pool: str) -> int | None:
        own = self._pools.get(pool, PoolUse()).limit
        return own if own is not None else self.limits.default_pool_limit


def _pools_word(pools: Sequence[str]) -> str:
    return "pool" if len(pools) == 1 else "pools"
