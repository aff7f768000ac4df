"""``orchord job``: list and print jobs, launch them through the instance, or execute them in this process.

Finding a job is in snapshots.py, executing one here in executing.py, showing its progress in progress.py.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from orchord.cli.executing import execute_here
from orchord.cli.failures import EXIT_OK
from orchord.cli.inputs import config_options, read_names, read_run_config, read_tags, tags_option
from orchord.cli.opening import opened_instance
from orchord.cli.output import console, json_option, print_json, print_table
from orchord.cli.progress import wait_for_end
from orchord.cli.records import run_record, step_records
from orchord.cli.runs import report_end
from orchord.cli.snapshots import find_job, known_locations
from orchord.cli.targets import Targets, one_location, target_options
from orchord.definitions.config.json_schema import json_schema
from orchord.instance.launch import LaunchRequest
from orchord.runs import new_run_id

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance
    from orchord.snapshot import JobSnapshot


@click.group()
def job() -> None:
    """List, print, launch and execute jobs."""


@job.command("list")
@target_options
@click.option("--location", metavar="NAME", help="Only the jobs of this code location.")
@json_option
def list_jobs(targets: Targets, location: str | None, as_json: bool) -> None:
    """List jobs: of the code that is given, or of all locations that the instance knows."""
    rows = [
        (snapshot.name, item)
        for snapshot in known_locations(targets, location)
        for item in snapshot.jobs
        if not item.name.startswith("__")
    ]
    if as_json:
        print_json(
            [
                {
                    "name": item.name,
                    "location": name,
                    "description": item.description,
                    "steps": len(item.plan.steps),
                    "executor": item.executor,
                    "tags": item.tags,
                }
                for name, item in rows
            ]
        )
        return
    print_table(
        ("job", "location", "steps", "executor", "description"),
        [
            (item.name, name, str(len(item.plan.steps)), item.executor, (item.description or "").partition("\n")[0])
            for name, item in rows
        ],
        "No jobs.",
    )


@job.command("print")
@click.argument("name")
@target_options
@click.option("--location", metavar="NAME", help="The job's code location, when several have a job of this name.")
@json_option
def print_job(name: str, targets: Targets, location: str | None, as_json: bool) -> None:
    """Print a job: its steps, what each waits on, and its default run config."""
    snapshot, found = find_job(targets, name, location)
    if as_json:
        print_json(
            {
                "name": found.name,
                "location": snapshot.name,
                "description": found.description,
                "executor": found.executor,
                "tags": found.tags,
                "steps": step_records(found.plan),
                "default_config": found.default_config,
                "config_schema": json_schema(found.config_type),
            }
        )
        return
    _print_job(snapshot.name, found)


@job.command("launch")
@click.argument("name")
@target_options
@click.option("--location", metavar="NAME", help="The job's code location, when several have a job of this name.")
@config_options
@tags_option
@click.option("--op-selection", metavar="OPS", help="Only these ops, such as 'a,*b,c+'.")
@click.option("--select", "asset_selection", metavar="SELECTION", help="Only these assets, such as '+key or group:x'.")
@click.option("--idempotency-key", metavar="KEY", help="The same key again gives the same run, and launches no second.")
@click.option("--wait", "waits", is_flag=True, help="Wait for the end and show the progress.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="With --wait: how long at most.")
@json_option
def launch(
    name: str,
    targets: Targets,
    location: str | None,
    config_files: tuple[Path, ...],
    config_json: str | None,
    tags_json: str | None,
    op_selection: str | None,
    asset_selection: str | None,
    idempotency_key: str | None,
    waits: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Record a run and send it to the workers. With a target, its definitions are published first."""
    run_config, tags, ops = read_run_config(config_files, config_json), read_tags(tags_json), read_names(op_selection)
    if timeout is not None and not waits:
        raise click.UsageError("--timeout is for --wait, which is not given.")
    with opened_instance() as instance:
        if targets:
            location = _publish(instance, targets, name, location)
        request = LaunchRequest(
            job_name=name,
            location=location,
            run_id=new_run_id(),
            run_config=run_config,
            tags=tags,
            op_selection=ops,
            asset_selection=None if asset_selection is None else [asset_selection],
            idempotency_key=idempotency_key,
        )
        if not waits:
            run, _ = instance.launch(request)
            if as_json:
                print_json(run_record(run))
            else:
                click.echo(run.run_id)
            return EXIT_OK
        with contextlib.ExitStack() as watching:
            # Watched from before the launch, so that the end of even the shortest run is told at once.
            watch = watching.enter_context(instance.watch(str(request.run_id)))
            run, created = instance.launch(request)
            if not created:  # the idempotency key gave an earlier run
                watch = watching.enter_context(instance.watch(run.run_id))
            ended = wait_for_end(instance, run, watch, timeout_seconds=timeout)
        return report_end(instance, ended, as_json=as_json)


@job.command("execute")
@click.argument("name")
@target_options
@config_options
@tags_option
@click.option("--op-selection", metavar="OPS", help="Only these ops, such as 'a,*b,c+'.")
@json_option
def execute(
    name: str,
    targets: Targets,
    config_files: tuple[Path, ...],
    config_json: str | None,
    tags_json: str | None,
    op_selection: str | None,
    as_json: bool,
) -> int:
    """Execute a job in this process, without broker and workers, and record the run in the instance."""
    run_config, tags, ops = read_run_config(config_files, config_json), read_tags(tags_json), read_names(op_selection)
    code = one_location(targets)
    return execute_here(code, name, run_config=run_config, tags=tags, op_selection=ops, as_json=as_json)


def _publish(instance: OrchordInstance, targets: Targets, name: str, location: str | None) -> str:
    """Store the given code's definitions, as its worker would, and return the name of the job's location."""
    found, _ = find_job(targets, name, location)
    for snapshot in known_locations(targets):
        instance.storage.locations.put(snapshot)
    return found.name


def _print_job(location: str, found: JobSnapshot) -> None:
    screen = console()
    screen.print(Text.assemble((found.name, "bold"), f"  ({location}, {found.executor})"))
    if found.description:
        screen.print(Text(found.description))
    screen.print()
    print_table(
        ("step", "waits on", "outputs", "assets"),
        [
            (
                step.key,
                ", ".join(found.plan.upstream[step.key]) or "-",
                ", ".join(output.name for output in step.outputs),
                ", ".join(step.asset_keys),
            )
            for step in found.plan.steps
        ],
        "No steps.",
    )
    if found.default_config:
        screen.print("\nDefault run config:")
        screen.print_json(data=found.default_config)
