"""``orchord asset``: list assets, and materialize them in this process.

To materialize them on the workers, launch a job: ``orchord job launch __ASSET_JOB --select ...``.
"""

from __future__ import annotations

from pathlib import Path

import click

from orchord.cli.executing import execute_here
from orchord.cli.inputs import config_options, read_run_config, read_tags, tags_option
from orchord.cli.output import json_option, print_json, print_table
from orchord.cli.snapshots import known_locations, select_assets
from orchord.cli.targets import Targets, one_location, target_options

IMPLICIT_JOB = "__ASSET_JOB"


@click.group()
def asset() -> None:
    """List and materialize assets."""


@asset.command("list")
@target_options
@click.option("--location", metavar="NAME", help="Only the assets of this code location.")
@click.option("--select", "selection", metavar="SELECTION", help="Only these, such as '+key', 'group:x and kind:y'.")
@json_option
def list_assets(targets: Targets, location: str | None, selection: str | None, as_json: bool) -> None:
    """List assets: of the code that is given, or of all locations that the instance knows."""
    rows = []
    for snapshot in known_locations(targets, location):
        wanted = select_assets(snapshot, selection)
        rows += [(snapshot.name, item) for item in snapshot.assets if wanted is None or item.key in wanted]
    if as_json:
        print_json(
            [
                {
                    "key": item.key,
                    "location": name,
                    "group": item.group_name,
                    "description": item.description,
                    "deps": list(item.deps),
                    "kinds": list(item.kinds),
                    "owners": list(item.owners),
                    "tags": item.tags,
                    "is_materializable": item.is_materializable,
                }
                for name, item in rows
            ]
        )
        return
    print_table(
        ("asset", "group", "kinds", "depends on", "description"),
        [
            (
                item.key if item.is_materializable else f"{item.key} (external)",
                item.group_name,
                ", ".join(item.kinds),
                ", ".join(item.deps) or "-",
                (item.description or "").partition("\n")[0],
            )
            for _, item in rows
        ],
        "No assets.",
    )


@asset.command("materialize")
@target_options
@click.option("--select", "selection", required=True, metavar="SELECTION", help="Which, such as 'key', '+key', '*'.")
@config_options
@tags_option
@json_option
def materialize(
    targets: Targets,
    selection: str,
    config_files: tuple[Path, ...],
    config_json: str | None,
    tags_json: str | None,
    as_json: bool,
) -> int:
    """Materialize assets in this process, without broker and workers, and record the run in the instance."""
    run_config, tags = read_run_config(config_files, config_json), read_tags(tags_json)
    code = one_location(targets)
    return execute_here(
        code, IMPLICIT_JOB, run_config=run_config, tags=tags, asset_selection=[selection], as_json=as_json
    )
