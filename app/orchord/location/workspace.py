"""Reading workspace.yaml: which code locations there are. It takes the keys that Dagster's file of that name takes.

The targets themselves are target.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchord.errors import InvalidConfigError, did_you_mean
from orchord.location.target import LocationTarget

_KINDS = {"python_module": "module_name", "python_file": "relative_path", "python_package": "package_name"}
_FURTHER = ("attribute", "working_directory", "location_name")
_EXAMPLE = "Write such as: load_from: [{python_module: etl.definitions}]"


def read_workspace(path: Path) -> list[LocationTarget]:
    """Return the targets that a workspace file names. Paths in it are relative to the file's folder.

    Raises:
        InvalidConfigError: the file cannot be read or has mistakes; all are listed.
    """
    headline = f"The workspace file {path} cannot be used"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfigError(headline, [str(error)]) from error
    mistakes: list[str] = []
    entries: Any = []
    if not isinstance(data, Mapping):
        mistakes.append(f"it holds {_shown(data)} instead of a mapping. {_EXAMPLE}")
    else:
        mistakes += [
            f"'{key}' is unknown.{did_you_mean(str(key), ['load_from'])}" for key in data if key != "load_from"
        ]
        entries = data.get("load_from")
        if not isinstance(entries, list) or not entries:
            mistakes.append(f"'load_from' is {_shown(entries)} instead of a list. {_EXAMPLE}")
            entries = []
    folder = path.absolute().parent
    targets = []
    for index, entry in enumerate(entries):
        target = _target(f"load_from[{index}]", entry, folder, mistakes)
        if target is not None:
            targets.append(target)
    names = [target.location_name for target in targets]
    mistakes += [f"two locations are called '{name}': give one a location_name" for name in _twice(names)]
    if mistakes:
        raise InvalidConfigError(headline, mistakes)
    return targets


def _target(where: str, entry: Any, folder: Path, mistakes: list[str]) -> LocationTarget | None:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        mistakes.append(f"{where} is {_shown(entry)}; it must have one key of {', '.join(_KINDS)}")
        return None
    kind, value = next(iter(entry.items()))
    if kind not in _KINDS:
        mistakes.append(f"{where}: '{kind}' is unknown.{did_you_mean(str(kind), _KINDS)}")
        return None
    main = _KINDS[kind]
    values: Any = {main: value} if isinstance(value, str) else value
    if not isinstance(values, Mapping):
        mistakes.append(f"{where}.{kind} is {_shown(value)}; give a name, or a mapping with {main}")
        return None
    known = (main, *_FURTHER)
    found = [
        f"{where}.{kind}: '{key}' is unknown.{did_you_mean(str(key), known)}" for key in values if key not in known
    ]
    found += [
        f"{where}.{kind}.{key} is {_shown(values[key])} instead of text"
        for key in known
        if key in values and not isinstance(values[key], str)
    ]
    if main not in values:
        found.append(f"{where}.{kind} has no '{main}'")
    if found:
        mistakes += found
        return None
    directory = folder / values["working_directory"] if "working_directory" in values else folder
    return LocationTarget(
        module=values[main] if kind == "python_module" else None,
        package=values[main] if kind == "python_package" else None,
        file=folder / values[main] if kind == "python_file" else None,
        attribute=values.get("attribute"),
        working_directory=directory,
        name=values.get("location_name"),
    )


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
