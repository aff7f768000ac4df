"""README.md shows code that works and commands that exist."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

import orchord as dg
from orchord.cli.main import cli
from orchord.instance.config import InstanceConfig
from orchord.plan.places import Place
from orchord.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SHELL_TEXT = "\n".join(text for language, text in BLOCKS if not language)
SHELL_LINES = [line.partition(" #")[0].strip() for line in SHELL_TEXT.splitlines()]


def test_the_example_materializes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(text for language, text in BLOCKS if language == "python")
    module = ModuleType("readme_example")
    monkeypatch.setitem(sys.modules, "readme_example", module)
    exec(compile(source, "README.md", "exec"), module.__dict__)
    result = dg.materialize_to_memory([module.numbers, module.total])
    assert result.success
    assert result.asset_value("total") == 55
    assert sorted(module.defs.resolve().asset_graph.keys) == [dg.AssetKey("numbers"), dg.AssetKey("total")]


@pytest.mark.parametrize("line", sorted({line for line in SHELL_LINES if line.startswith("orchord ")}))
def test_a_command_exists_with_its_options(line: str) -> None:
    command: click.Command = cli
    words = shlex.split(line)[1:]
    context = click.Context(command, info_name="orchord")
    while words and isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: there is no `{words[0]}`"
        command, words = found, words[1:]
    assert not isinstance(command, click.Group), f"{line}: `{command.name}` wants a sub-command"
    options = {name for parameter in command.params for name in parameter.opts if isinstance(parameter, click.Option)}
    assert {word for word in words if word.startswith("-")} <= options


def test_the_instance_file_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = next(text for language, text in BLOCKS if language == "yaml")
    (tmp_path / "orchord.yaml").write_text(text)
    monkeypatch.setenv("ORCHORD_DATABASE_URL", "postgresql://orchord:secret@db:5432/orchord")
    config = InstanceConfig.read(tmp_path)
    assert config.storage_url.startswith("postgresql")
    assert config.celery.worker_concurrency == 4
    assert config.without_effect == ()


def test_the_launchers_and_logs_that_are_shown_can_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, text = (text for language, text in BLOCKS if language == "yaml")
    (tmp_path / "orchord.yaml").write_text(text)
    monkeypatch.setenv("S3_KEY", "key")
    monkeypatch.setenv("S3_SECRET", "secret")
    with dg.OrchordInstance.from_home(Settings(home=tmp_path, home_is_given=True)) as instance:
        assert instance.launchers.named("boxes").place is Place.DOCKER
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"


def test_the_executors_that_are_shown_take_their_config() -> None:
    _, source = (text for language, text in BLOCKS if language == "python")
    names = {name: getattr(dg, name) for name in ("job", "multiprocess_executor")}
    exec(compile(source, "README.md", "exec"), names)
    assert names["process_numbers"].executor_def.name == "multiprocess_executor"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make (\w+)", README))
    named |= {line.split()[1] for line in SHELL_LINES if line.startswith("make ")}
    assert named
    assert named <= targets


def test_files_that_are_named_are_there() -> None:
    named = re.findall(r"\]\((?!http|#)([^)#]+)", README) + re.findall(r"-f (\S+\.py)", README)
    assert [name for name in named if not (ROOT / name).exists()] == []
