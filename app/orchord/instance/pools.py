"""Pools as people look at them and set them, for the API and the command: limits, holders, waiters, slots of the dead.

How slots are granted is orchord.storage.pool_store; the instance file's part is ``concurrency: pools``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from orchord.errors import InvalidInvocationError, NotFoundError, did_you_mean
from orchord.events import utc_now
from orchord.storage.values import PoolHolder, PoolState, PoolWaiter
from orchord.wire import WAKE_QUEUE

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

MOST_SLOTS = 2**31 - 1
# As the monitor: a worker that has not reported itself for so long is taken for dead.
DEAD_AFTER = timedelta(seconds=10)


class PoolView(NamedTuple):
    """One pool with those who hold its slots and those who wait, in the order in which they get one."""

    state: PoolState
    holders: Sequence[PoolHolder]
    waiters: Sequence[PoolWaiter]


def known_pools(instance: OrchordInstance) -> list[PoolState]:
    """Return every pool that some op names, that has a limit of its own, or that somebody holds, by name."""
    stored = {state.name: state for state in instance.storage.pools.all()}
    limit = instance.config.concurrency.pools.default_limit
    for name in _pools_in_code(instance) - stored.keys():
        stored[name] = PoolState(name, limit, is_default=True, running=0, waiting=0)
    return [stored[name] for name in sorted(stored)]


def view_pool(instance: OrchordInstance, name: str) -> PoolView:
    """Return one pool.

    Raises:
        NotFoundError: no op names it, it has no limit, and nobody holds a slot of it.
    """
    pools = known_pools(instance)
    state = next((state for state in pools if state.name == name), None)
    if state is None:
        hint = did_you_mean(name, [state.name for state in pools])
        raise NotFoundError(f"No pool is called '{name}'.{hint or ' Ops name their pool by pool=; a limit makes one.'}")
    store = instance.storage.pools
    return PoolView(state, store.holders(name), store.waiters(name))


def set_limit(instance: OrchordInstance, name: str, limit: int) -> PoolView:
    """Set how many slots a pool has; those who wait are called at once.

    Raises:
        InvalidInvocationError: the limit is below 0, or too large.
    """
    if not 0 <= limit <= MOST_SLOTS:
        raise InvalidInvocationError(f"The limit of pool '{name}' was to be {limit}. Give 0 to {MOST_SLOTS}.")
    instance.storage.pools.set_limit(name, limit)
    instance.courier.wake(WAKE_QUEUE)
    return view_pool(instance, name)


def delete_limit(instance: OrchordInstance, name: str) -> None:
    """Give a pool the instance file's default limit again.

    Raises:
        NotFoundError: it has no limit of its own.
    """
    if not instance.storage.pools.delete_limit(name):
        raise NotFoundError(f"Pool '{name}' has no limit of its own that could be deleted.")
    instance.courier.wake(WAKE_QUEUE)


def free_slots(instance: OrchordInstance, name: str) -> list[PoolHolder]:
    """Take the slots of a pool from processes that have died, before the monitor does; return who held them.

    Their steps are run again. Slots of living processes are free when their steps end, and not before.
    """
    oldest = instance.storage.clock() - DEAD_AFTER
    held = {(holder.run_id, holder.step_key, holder.attempt): holder for holder in instance.storage.pools.holders(name)}
    freed = []
    for attempt in instance.storage.attempts.running_of_dead_workers(oldest):
        holder = held.get((attempt.run_id, attempt.step_key, attempt.attempt))
        if holder is not None and instance.storage.attempts.mark_lost(
            attempt.run_id, attempt.step_key, attempt.attempt, utc_now(), "its worker has died, and its slot was freed"
        ):
            freed.append(holder)
    instance.courier.wake(WAKE_QUEUE)
    return freed


def _pools_in_code(instance: OrchordInstance) -> set[str]:
    return {
        step.pool
        for row in instance.storage.locations.all()
        if row.snapshot is not None
        for job in row.snapshot.jobs
        for step in job.plan.steps
        if step.pool is not None
    }
