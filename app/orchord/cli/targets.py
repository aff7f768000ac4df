"""Which code a command means: ``-m``, ``-f``, ``-w`` and their relatives, or what the working directory says.

What a target is and how it is loaded is in orchord.location.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from orchord.location import CodeLocation, LocationTarget, load_location, read_workspace

Command = TypeVar("Command", bound=Callable[..., Any])
Targets = tuple[LocationTarget, ...]

WORKSPACE_FILE = "workspace.yaml"


def target_options(command: Command) -> Command:
    """Add the options that name code; the command gets ``targets``, empty when nothing was named."""

    @functools.wraps(command)
    def with_targets(
        *,
        modules: tuple[str, ...],
        packages: tuple[str, ...],
        files: tuple[Path, ...],
        workspaces: tuple[Path, ...],
        working_directory: Path | None,
        attribute: str | None,
        location_name: str | None,
        **others: Any,
    ) -> Any:
        directory = (working_directory or Path.cwd()).absolute()
        targets = [
            *(LocationTarget(module=name, attribute=attribute, working_directory=directory) for name in modules),
            *(LocationTarget(package=name, attribute=attribute, working_directory=directory) for name in packages),
            *(LocationTarget(file=path, attribute=attribute, working_directory=working_directory) for path in files),
        ]
        for workspace in workspaces:
            targets += read_workspace(workspace)
        if attribute is not None and not targets:
            raise click.UsageError("--attribute says where in a module to look; give the module with -m or -f.")
        if location_name is not None:
            if len(targets) != 1:
                raise click.UsageError(f"--location-name is for one code location, found {len(targets)}.")
            targets = [replace(targets[0], name=location_name)]
        return command(targets=tuple(targets), **others)

    existing = click.Path(exists=True, dir_okay=False, path_type=Path)
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    decorated: Any = with_targets
    for option in (
        click.option("--location-name", metavar="NAME", help="What the code location is called."),
        click.option(
            "-a", "--attribute", metavar="NAME", help="The variable that holds the definitions, if there are several."
        ),
        click.option(
            "-d", "--working-directory", metavar="FOLDER", type=folder, help="Where modules are looked for first."
        ),
        click.option(
            "-w", "--workspace", "workspaces", multiple=True, type=existing, metavar="FILE", help="A workspace file."
        ),
        click.option("-f", "--python-file", "files", multiple=True, type=existing, metavar="FILE", help="A file."),
        click.option("--package-name", "packages", multiple=True, metavar="NAME", help="A package."),
        click.option("-m", "--module-name", "modules", multiple=True, metavar="MODULE", help="A module."),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def required_targets(targets: Targets) -> Targets:
    """Return the targets; when none were named, those of the working directory.

    These are ``workspace.yaml``, else ``module_name`` under ``[tool.orchord]`` or ``[tool.dagster]`` of
    ``pyproject.toml``.

    Raises:
        click.UsageError: there are none.
    """
    found = targets or targets_of(Path.cwd())
    if not found:
        raise click.UsageError(
            "No code was named. Give -m MODULE, -f FILE or -w WORKSPACE, or put a workspace.yaml here."
        )
    return found


def one_target(targets: Targets) -> LocationTarget:
    """Return the only target.

    Raises:
        click.UsageError: there is none, or there are several.
    """
    found = required_targets(targets)
    if len(found) > 1:
        names = ", ".join(target.location_name for target in found)
        raise click.UsageError(f"This command takes one code location, found {len(found)}: {names}.")
    return found[0]


def one_location(targets: Targets) -> CodeLocation:
    """Load the only target."""
    return load_location(one_target(targets))


def targets_of(directory: Path) -> Targets:
    """Return the targets that a directory names without any option."""
    workspace = directory / WORKSPACE_FILE
    if workspace.is_file():
        return tuple(read_workspace(workspace))
    project = directory / "pyproject.toml"
    if not project.is_file():
        return ()
    try:
        tools = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{project} is not TOML: {error}") from error
    for tool in ("orchord", "dagster"):
        module = tools.get(tool, {}).get("module_name")
        if isinstance(module, str):
            return (LocationTarget(module=module, working_directory=directory),)
    return ()


def target_arguments(target: LocationTarget) -> list[str]:
    """Return the options that name this target, for a child process."""
    return list(target.arguments)
