"""Loading a code location: its module imported, its one Definitions found and resolved, its snapshot taken.

Importing, and cutting tracebacks, is importing.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.job import UnresolvedAssetJobDefinition
from orchord.definitions.definitions_object import Definitions, LazyDefinitions
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.repository import Repository
from orchord.errors import CodeLocationLoadError, InvalidDefinitionError, OrchordError, did_you_mean
from orchord.location.importing import import_target, run_user_code, submodule
from orchord.location.target import LocationTarget
from orchord.settings import current_image
from orchord.snapshot import LocationSnapshot, snapshot_of

DEFINITIONS_MODULE = "definitions"


@dataclass(frozen=True, eq=False)
class CodeLocation:
    """A loaded code location: its definitions, and the snapshot that servers know of it."""

    name: str
    repository: Repository
    snapshot: LocationSnapshot
    target: LocationTarget


def load_location(target: LocationTarget) -> CodeLocation:
    """Import a target's code and resolve its Definitions. Loading it again imports the user's modules again.

    Raises:
        CodeLocationLoadError: the code cannot be imported (with the user's own traceback), holds no Definitions or
            several, or its Definitions have mistakes, which are all listed.
    """
    module = import_target(target)
    found = _definitions_in(target, module)
    made = run_user_code(target, found) if not isinstance(found, Definitions) else found
    if not isinstance(made, Definitions):
        raise _error(target, f"'{target.attribute}' of {module.__name__} gives {made!r}; it must give a Definitions.")
    name = target.location_name
    try:
        repository = made.resolve()
    except InvalidDefinitionError as error:
        raise CodeLocationLoadError(f"Code location '{name}' cannot be loaded. {error}") from error
    except OrchordError as error:
        raise CodeLocationLoadError(
            f"Code location '{name}' cannot be loaded. {type(error).__name__}: {error}"
        ) from error
    snapshot = snapshot_of(repository, name, target=target_in_container(target, module), image=current_image())
    return CodeLocation(name, repository, snapshot, target)


def target_in_container(target: LocationTarget, module: ModuleType) -> tuple[str, ...]:
    """Return the options that load a target's code where the same image, or the same packages, are.

    The working directory is told only when the code was found in it: installed code is found without, and a folder of
    this machine may not be there.
    """
    found = getattr(module, "__file__", None)
    directory = target.working_directory
    if directory is None and target.file is None:
        directory = Path.cwd()
    is_inside = found is not None and directory is not None and Path(found).is_relative_to(directory.absolute())
    in_packages = found is not None and "site-packages" in Path(found).parts
    file = target.file
    if file is not None and not file.is_absolute():
        file = ((target.working_directory or Path.cwd()) / file).absolute()
    directory = directory.absolute() if directory is not None and is_inside and not in_packages else None
    return replace(target, file=file, working_directory=directory, name=target.location_name).arguments


def _definitions_in(target: LocationTarget, module: ModuleType) -> Any:
    """Return the Definitions that a module holds, or the function that makes it."""
    if target.attribute is not None:
        return _attribute(target, module, target.attribute)
    held = _held(module)
    if not held:
        # A project's package often is empty, with its Definitions in the module of that name.
        inner = submodule(target, module, DEFINITIONS_MODULE)
        if inner is not None:
            module, held = inner, _held(inner)
    if not held:
        raise _error(target, _none_found(module))
    if len(held) > 1:
        names = ", ".join(sorted(held))
        raise _error(
            target,
            f"{module.__name__} holds {len(held)} Definitions ({names}). Name one as the attribute (-a {min(held)}), or"
            " join them by Definitions.merge.",
        )
    return next(iter(held.values()))


def _attribute(target: LocationTarget, module: ModuleType, name: str) -> Any:
    known = [key for key in vars(module) if not key.startswith("_")]
    if not hasattr(module, name):
        raise _error(target, f"{module.__name__} has no '{name}'.{did_you_mean(name, _held(module) or known)}")
    value = getattr(module, name)
    if isinstance(value, (Definitions, LazyDefinitions)) or (
        callable(value) and not isinstance(value, AssetsDefinition)
    ):
        return value
    raise _error(
        target, f"'{name}' of {module.__name__} is {value!r}. It must be a Definitions, or a function that returns one."
    )


def _held(module: ModuleType) -> dict[str, Any]:
    """Return the Definitions at a module's top level by name; one that has two names counts once."""
    held: dict[str, Any] = {}
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        if isinstance(value, (Definitions, LazyDefinitions)) and id(value) not in seen:
            seen.add(id(value))
            held[name] = value
    return held


def _none_found(module: ModuleType) -> str:
    values = list(vars(module).values())
    assets = sum(isinstance(value, AssetsDefinition) for value in values)
    jobs = sum(isinstance(value, (JobDefinition, UnresolvedAssetJobDefinition)) for value in values)
    start = f"{module.__name__} holds no Definitions."
    if assets or jobs:
        counts = " and ".join(
            f"{number} {kind}{'s' if number > 1 else ''}"
            for number, kind in ((assets, "asset"), (jobs, "job"))
            if number
        )
        return f"{start} It has {counts}: add 'defs = Definitions(assets=[...], jobs=[...])' at its end."
    return f"{start} Add 'defs = Definitions(...)' at its top level."


def _error(target: LocationTarget, problem: str) -> CodeLocationLoadError:
    return CodeLocationLoadError(f"Code location '{target.location_name}' cannot be loaded. {problem}")
