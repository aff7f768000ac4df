"""User code that fails until it is allowed to succeed, for tests of retried and re-executed runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orchord as dg


@dg.success_hook
def note_success(context: dg.HookContext) -> None:
    folder = Path(context.op_config["folder"]) if context.op_config else None
    if folder is not None:
        with (folder / "hooks").open("a") as notes:
            notes.write(f"{context.step_key}\n")


@dg.op(out={"wanted": dg.Out(), "unwanted": dg.Out(is_required=False)})
def source() -> Iterator[dg.Output]:
    yield dg.Output(20, "wanted")


@dg.op(config_schema={"folder": str})
def needs_permission(context: dg.OpExecutionContext, number: int) -> int:
    if not (Path(context.op_config["folder"]) / "permission").exists():
        raise RuntimeError("not yet")
    return number + 1


@dg.op
def never(number: int) -> int:
    return number


@dg.op
def last(left: int) -> int:
    return left * 2


@dg.job(hooks={note_success})
def permitted_job() -> None:
    wanted, unwanted = source()
    never(unwanted)
    last(needs_permission(wanted))


@dg.op(config_schema={"folder": str})
def succeeds_the_second_time(context: dg.OpExecutionContext) -> int:
    mark = Path(context.op_config["folder"]) / "tried"
    if not mark.exists():
        mark.touch()
        raise RuntimeError("the first time")
    return 1


@dg.job
def second_time_job() -> None:
    last(succeeds_the_second_time())


@dg.asset
def raw() -> int:
    return 1


class Folder(dg.Config):
    folder: str


@dg.multi_asset(specs=[dg.AssetSpec("left", deps=["raw"]), dg.AssetSpec("right", deps=["raw"])], can_subset=True)
def both(context: dg.AssetExecutionContext, config: Folder) -> Iterator[dg.MaterializeResult]:
    selected = sorted(key.to_user_string() for key in context.selected_asset_keys)
    with (Path(config.folder) / "selected").open("a") as notes:
        notes.write(" ".join(selected) + "\n")
    for key in selected:
        if key == "right" and not (Path(config.folder) / "permission").exists():
            raise RuntimeError("not yet")
        yield dg.MaterializeResult(asset_key=key)


assets_job = dg.define_asset_job("assets_job", selection=dg.AssetSelection.all())

defs = dg.Definitions(assets=[raw, both], jobs=[permitted_job, second_time_job, assets_job])
