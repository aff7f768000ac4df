"""Pools as the API takes and shows them: limits, who holds slots, who waits.

What a pool does is orchord.storage.pool_store; who reads and writes them is routes/pools.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from orchord.api.models.foundation import AnswerModel, RequestModel
from orchord.api.values import Name, RunId
from orchord.instance.pools import MOST_SLOTS, PoolView
from orchord.storage.values import PoolHolder, PoolState, PoolWaiter


def _whole(value: Any) -> Any:
    # In JSON 3.0 is a whole number too, while true and "3" are none.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class PoolPath(RequestModel):
    """One pool."""

    name: Name


class PoolLimitBody(RequestModel):
    """How many slots a pool has."""

    limit: Annotated[int, Field(strict=True, ge=0, le=MOST_SLOTS), BeforeValidator(_whole)] = Field(
        description="0: no step of the pool starts."
    )


class PoolBody(AnswerModel):
    """One pool."""

    name: str
    limit: int | None = Field(description="How many slots it has; null: no limit.")
    is_default: bool = Field(description="Whether the limit is the instance file's default.")
    running: int = Field(description="Steps that hold a slot now.")
    waiting: int = Field(description="Steps that wait for one.")

    @classmethod
    def of(cls, state: PoolState) -> PoolBody:
        """Return a pool as a body."""
        return cls.model_construct(**_pool_fields(state))


class HolderBody(AnswerModel):
    """A running step that holds a slot."""

    run_id: RunId
    step_key: str
    attempt: int
    worker_id: str
    since: datetime | None

    @classmethod
    def of(cls, holder: PoolHolder) -> HolderBody:
        """Return a holder as a body."""
        return cls.model_construct(
            run_id=holder.run_id,
            step_key=holder.step_key,
            attempt=holder.attempt,
            worker_id=holder.worker_id,
            since=holder.since,
        )


class WaiterBody(AnswerModel):
    """A step that waits for a slot."""

    run_id: RunId
    step_key: str
    since: datetime = Field(description="When it first asked.")
    called_at: datetime | None = Field(description="When a slot was last kept free for it; null: not yet.")

    @classmethod
    def of(cls, waiter: PoolWaiter) -> WaiterBody:
        """Return a waiter as a body."""
        return cls.model_construct(
            run_id=waiter.run_id, step_key=waiter.step_key, since=waiter.since, called_at=waiter.called_at
        )


class PoolDetailBody(PoolBody):
    """One pool with those who hold its slots, and the first hundred who wait, in the order in which they get one."""

    holders: list[HolderBody]
    waiters: list[WaiterBody]

    @classmethod
    def of_view(cls, view: PoolView) -> PoolDetailBody:
        """Return a pool as a body."""
        return cls.model_construct(
            **_pool_fields(view.state),
            holders=[HolderBody.of(holder) for holder in view.holders],
            waiters=[WaiterBody.of(waiter) for waiter in view.waiters],
        )


class PoolList(AnswerModel):
    """Pools, by name."""

    items: list[PoolBody]


class FreedBody(AnswerModel):
    """Slots that were taken from processes that have died."""

    freed: list[HolderBody] = Field(description="Who held them. Their steps are run again.")


def _pool_fields(state: PoolState) -> dict[str, Any]:
    return {
        "name": state.name,
        "limit": state.limit,
        "is_default": state.is_default,
        "running": state.running,
        "waiting": state.waiting,
    }
