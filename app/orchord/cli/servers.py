"""``orchord api``, ``worker``, ``launcher`` and ``daemon``: the long-running processes, as a platform would start them.

The workers and the daemon stand above this package: they are called by name.
"""

from __future__ import annotations

import functools
import importlib
import logging
from typing import Any

import click

from orchord.cli.targets import Targets, one_target, target_options
from orchord.settings import Settings

_LEVELS = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("-p", "--port", default=3000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0: any.")
@click.option("--threads", default=32, show_default=True, type=click.IntRange(1), help="Requests handled at once.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Server processes.")
@click.option("--migrate", is_flag=True, help="Bring the database up to date first.")
@click.option("--access-log", is_flag=True, help="Write a line for each request.")
@click.option("--log-level", default="info", show_default=True, type=_LEVELS, help="The least level that is logged.")
def api(host: str, port: int, threads: int, workers: int, migrate: bool, access_log: bool, log_level: str) -> None:
    """Serve the REST API of the instance."""
    _log_at(log_level)
    # By name, as the other two commands of this module need neither Flask nor gunicorn.
    serve = _named("orchord.api.server", "serve")
    instances = _named("orchord.instance", "OrchordInstance")
    serve(
        functools.partial(instances.from_home, Settings.from_environment()),
        host=host,
        port=port,
        threads=threads,
        workers=workers,
        migrate=migrate,
        access_log=access_log,
        on_ready=lambda url: logging.getLogger(__name__).info("The API is at %s", url),
    )


@click.command()
@target_options
@click.option(
    "--concurrency", type=click.IntRange(1), help="How many steps run at once (default: that of orchord.yaml, else 2)."
)
@click.option(
    "--only", type=click.Choice(["steps", "ticks"]), help="Carry out steps alone, or ticks of schedules and sensors."
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Take steps from this queue alone; may be repeated. 'default': those whose ops name none.",
)
@click.option("--log-level", default="info", show_default=True, type=_LEVELS, help="The least level that is logged.")
def worker(
    targets: Targets, concurrency: int | None, only: str | None, queues: tuple[str, ...], log_level: str
) -> None:
    """Carry out the steps of one code location, and publish its definitions to the instance."""
    _log_at(log_level)
    run_worker = _named("orchord_workers.main", "run_worker")
    run_worker(
        Settings.from_environment(),
        one_target(targets),
        concurrency=concurrency,
        log_level=log_level.upper(),
        only=only,
        queues=queues,
    )


@click.command()
@click.option(
    "--place",
    "places",
    multiple=True,
    type=click.Choice(["docker", "k8s", "ecs"]),
    help="Start containers there; may be repeated (default: where the instance's run launchers do, else docker).",
)
@click.option(
    "--concurrency", type=click.IntRange(1), help="How many containers are being started at once (default: 4)."
)
@click.option("--log-level", default="info", show_default=True, type=_LEVELS, help="The least level that is logged.")
def launcher(places: tuple[str, ...], concurrency: int | None, log_level: str) -> None:
    """Start containers for the steps and runs that need one, and watch them.

    Any number may run. None of them holds user code; containers go on when a launcher ends.
    """
    _log_at(log_level)
    run_launcher_worker = _named("orchord_workers.launching.main", "run_launcher_worker")
    run_launcher_worker(
        Settings.from_environment(), places=places, concurrency=concurrency, log_level=log_level.upper()
    )


@click.command()
@click.option("--log-level", default="info", show_default=True, type=_LEVELS, help="The least level that is logged.")
def daemon(log_level: str) -> None:
    """Keep the time of schedules and sensors, let queued runs go, and mend what a lost worker or broker left.

    Any number may run: one leads, and another takes over when it is gone.
    """
    _log_at(log_level)
    run_daemon = _named("orchord_beat.main", "run_daemon")
    run_daemon(Settings.from_environment(), log_level=log_level.upper())


def _named(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _log_at(level: str) -> None:
    logging.basicConfig(level=level.upper(), format=_LOG_FORMAT)
