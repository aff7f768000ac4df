"""What commands are given: run config from files and text, tags, and lists of names.

Every mistake is a usage error, exit code 2. Which code a command means is in targets.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

Command = TypeVar("Command", bound=Callable[..., Any])


def config_options(command: Command) -> Command:
    """Add ``--config`` and ``--config-json``, passed on as ``config_files`` and ``config_json``."""
    command = click.option(
        "--config-json", metavar="JSON", help="Run config as JSON text, merged over that of the files."
    )(command)
    return click.option(
        "-c",
        "--config",
        "config_files",
        multiple=True,
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Run config as a YAML or JSON file. May be given several times: later files are merged over earlier ones.",
    )(command)


def tags_option(command: Command) -> Command:
    """Add ``--tags``, passed on as ``tags_json``."""
    return click.option("--tags", "tags_json", metavar="JSON", help='Tags of the run, such as \'{"team": "data"}\'.')(
        command
    )


def read_run_config(files: Sequence[Path], text: str | None) -> dict[str, Any]:
    """Read and merge run config. Mappings are merged key by key; any other value replaces the earlier one.

    Raises:
        click.UsageError: a file or the text cannot be read; every mistake is listed.
    """
    parts: list[Mapping[str, Any]] = []
    mistakes: list[str] = []
    for file in files:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mistakes.append(f"--config {file}: not YAML: {' '.join(str(error).split())}")
            continue
        if content is None:
            continue
        if isinstance(content, dict):
            parts.append(content)
        else:
            mistakes.append(f"--config {file}: must hold a mapping, found {type(content).__name__}")
    if text is not None:
        value, mistake = _json_object(text)
        parts.append(value)
        mistakes += [f"--config-json: {mistake}"] if mistake else []
    if mistakes:
        raise click.UsageError("Run config cannot be read:\n  " + "\n  ".join(mistakes))
    merged: dict[str, Any] = {}
    for part in parts:
        merged = _merge(merged, part)
    return merged


def read_tags(text: str | None) -> dict[str, str]:
    """Read ``--tags``: a JSON object; values that are not text are written as JSON.

    Raises:
        click.UsageError: it is not a JSON object.
    """
    if text is None:
        return {}
    value, mistake = _json_object(text)
    if mistake:
        raise click.UsageError(f"--tags: {mistake}")
    return {str(key): item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}


def read_names(text: str | None) -> list[str] | None:
    """Split a selection such as ``a,*b`` or ``["a", "*b"]`` into its parts; None stays None.

    Raises:
        click.UsageError: text that begins like a JSON list is none.
    """
    if text is None:
        return None
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except json.JSONDecodeError as error:
            raise click.UsageError(f"--op-selection: not JSON: {error}") from error
        return [str(name) for name in names]
    return [part.strip() for part in text.split(",") if part.strip()]


def _json_object(text: str) -> tuple[dict[str, Any], str]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return {}, f"not JSON: {error}"
    if not isinstance(value, dict):
        return {}, f"must be a JSON object, found {type(value).__name__}"
    return value, ""


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
