"""``orchord instance concurrency``: limits of pools, who holds their slots, and who waits.

The limits of runs are in the instance file; what a pool does is orchord.storage.pool_store.
"""

from __future__ import annotations

from typing import Any

import click

from orchord.cli.opening import opened_instance
from orchord.cli.output import json_option, print_json, print_table, time_text
from orchord.instance import pools
from orchord.storage.values import PoolState


@click.group()
def concurrency() -> None:
    """Show and set how many steps of a pool run at once."""


@concurrency.command("get")
@click.argument("name", required=False)
@click.option("--all", "wants_all", is_flag=True, help="All pools; the same as naming none.")
@json_option
def get(name: str | None, wants_all: bool, as_json: bool) -> None:
    """Show a pool with who holds its slots and who waits, or all pools."""
    if name is not None and wants_all:
        raise click.UsageError("Give the name of a pool or --all, not both.")
    with opened_instance() as instance:
        if name is None:
            found = pools.known_pools(instance)
        else:
            view = pools.view_pool(instance, name)
    if name is None:
        if as_json:
            print_json([_record(state) for state in found])
            return
        rows = [(state.name, _limit_text(state), str(state.running), str(state.waiting)) for state in found]
        print_table(("pool", "limit", "running", "waiting"), rows, "No pools.")
        return
    users = [("holds a slot", item.run_id, item.step_key, time_text(item.since)) for item in view.holders]
    users += [("waits", item.run_id, item.step_key, time_text(item.since)) for item in view.waiters]
    if as_json:
        record = _record(view.state)
        print_json({**record, "holders": list(view.holders), "waiters": list(view.waiters)})
        return
    state = view.state
    click.echo(f"{state.name}: limit {_limit_text(state)}, {state.running} running, {state.waiting} waiting")
    print_table(("", "run", "step", "since"), users, "Nobody holds a slot of it.")


@concurrency.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("limit", type=click.IntRange(0, pools.MOST_SLOTS))
@json_option
def set_(name: str, limit: int, as_json: bool) -> None:
    """Set how many steps of a pool run at once."""
    with opened_instance() as instance:
        state = pools.set_limit(instance, name, limit).state
    if as_json:
        print_json(_record(state))
    else:
        click.echo(f"Pool '{name}' has {limit} slot(s) now.")


@concurrency.command("delete")
@click.argument("name")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a pool's own limit, so that the instance file's default holds again."""
    with opened_instance() as instance:
        pools.delete_limit(instance, name)
        default = instance.config.concurrency.pools.default_limit
    if as_json:
        print_json({"name": name, "limit": default})
    else:
        click.echo(f"Pool '{name}' has the default limit again: {'none' if default is None else default}.")


def _limit_text(state: PoolState) -> str:
    return ("none" if state.limit is None else str(state.limit)) + (" (default)" if state.is_default else "")


def _record(state: PoolState) -> dict[str, Any]:
    return {
        "name": state.name,
        "limit": state.limit,
        "is_default": state.is_default,
        "running": state.running,
        "waiting": state.waiting,
    }
