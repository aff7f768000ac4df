"""The guides name commands, options and routes that exist, and show code that loads."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import click
import pytest

import orchord as dg
from orchord.api.app import create_app
from orchord.api.documents import openapi_document
from orchord.cli.main import cli

DOCS = Path(__file__).parents[4] / "docs"
CLI = (DOCS / "cli.md").read_text()
REST = (DOCS / "rest-api.md").read_text()
TICKING = (DOCS / "schedules-and-sensors.md").read_text()
#: Each row's code spans that begin with `orchord`, and the shorter ones that follow it: `start NAME`, `stop`.
SPANS = re.findall(r"`(orchord \w[^`…]*)`", CLI + TICKING)


def command_of(line: str) -> click.Command:
    command: click.Command = cli
    context = click.Context(command, info_name="orchord")
    for word in line.split()[1:]:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        assert found is not None, f"{line}: there is no `{word}`"
        command = found
    return command


@pytest.mark.parametrize("line", sorted({span for span in SPANS if "COMMAND" not in span}))
def test_a_command_that_a_guide_names_exists_with_its_options(line: str) -> None:
    command = command_of(line)
    known = {name for parameter in command.params for name in parameter.opts if isinstance(parameter, click.Option)}
    assert {word.strip("[]") for word in line.split() if word.strip("[").startswith("-")} <= known


def test_every_command_stands_in_the_guide() -> None:
    context = click.Context(cli, info_name="orchord")
    names = [name for name in cast("click.Group", cli).list_commands(context) if f"`orchord {name}" not in CLI]
    assert names == []


def test_routes_that_the_guide_names_are_served() -> None:
    document = openapi_document(cast("Any", create_app(cast("Any", None))))
    served = {re.sub(r"{\w+}", "{}", path.removeprefix("/api/v1")) for path in document["paths"]}
    table = REST[: REST.index("## Start a run")]
    named = {re.sub(r"{\w+}", "{}", path) for path in re.findall(r"`(?:[A-Z]+ )(/[^`?… ]+)", table)}
    assert len(named) > 20
    assert named <= served


def test_the_schedule_and_the_sensor_of_the_guide_load(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```", TICKING, flags=re.MULTILINE | re.DOTALL)
    before = (
        "import os\nimport orchord as dg\n"
        "@dg.op(config_schema={'day': str})\ndef load(): ...\n"
        "@dg.op\ndef read(): ...\n"
        "@dg.job\ndef report():\n    load()\n"
        "@dg.job\ndef load_file():\n    read()\n"
    )
    module = ModuleType("guide_example")
    monkeypatch.setitem(sys.modules, "guide_example", module)
    exec(compile(before + source, "schedules-and-sensors.md", "exec"), module.__dict__)
    defs = dg.Definitions(schedules=[module.each_morning], sensors=[module.arrivals])
    assert sorted(defs.resolve().schedules) == ["each_morning"]
