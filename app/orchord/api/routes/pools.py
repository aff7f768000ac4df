"""Pools: reading them, setting limits, freeing the slots of processes that have died.

What they hold back is said with the runs and steps that wait, in routes/runs.py.
"""

from __future__ import annotations

from flask import Response

from orchord.api.models.pools import (
    FreedBody,
    HolderBody,
    PoolBody,
    PoolDetailBody,
    PoolLimitBody,
    PoolList,
    PoolPath,
)
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.instance import pools

routes = Routes("pools", "Slots that limit how many steps run at once, over all runs.")


@routes.get("/pools", {200: PoolList})
def list_pools() -> PoolList:
    """List the pools that ops name, that have limits, or that are in use."""
    return PoolList.model_construct(items=[PoolBody.of(state) for state in pools.known_pools(the_instance())])


@routes.get("/pools/<path:name>", {200: PoolDetailBody})
def read_pool(path: PoolPath) -> PoolDetailBody:
    """Read a pool: its limit, who holds its slots, and who waits for one."""
    return PoolDetailBody.of_view(pools.view_pool(the_instance(), path.name))


@routes.put("/pools/<path:name>", {200: PoolDetailBody})
def set_pool_limit(path: PoolPath, body: PoolLimitBody) -> PoolDetailBody:
    """Set a pool's limit. Steps that run beyond a lower one go on; who waits under a higher one is called at once."""
    return PoolDetailBody.of_view(pools.set_limit(the_instance(), path.name, body.limit))


@routes.delete("/pools/<path:name>", {204: None})
def delete_pool_limit(path: PoolPath) -> Response:
    """Delete a pool's own limit: the instance file's default holds again."""
    pools.delete_limit(the_instance(), path.name)
    return Response(status=204)


@routes.post("/pools/<path:name>/free", {200: FreedBody})
def free_pool(path: PoolPath) -> FreedBody:
    """Free the slots of processes that have died; their steps are run again. Slots of the living stay theirs."""
    freed = pools.free_slots(the_instance(), path.name)
    return FreedBody.model_construct(freed=[HolderBody.of(holder) for holder in freed])
