"""What is watched is found without running any of the user's code, and changes of code alone are noticed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchord.embedded import watching


def _target(**fields: Any) -> Any:
    return SimpleNamespace(**{"module": None, "package": None, "file": None, "working_directory": None, **fields})


def test_a_file_is_watched_with_its_neighbours(tmp_path: Path) -> None:
    assert watching.watched_path(_target(file=tmp_path / "defs.py")) == tmp_path


def test_a_file_among_everything_else_is_watched_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.Path, "home", lambda: tmp_path)
    assert watching.watched_path(_target(file=tmp_path / "defs.py")) == tmp_path / "defs.py"


def test_a_module_is_watched_by_its_top_package_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__init__.py").write_text("raise AssertionError('not to be run')")
    (tmp_path / "single.py").write_text("raise AssertionError('not to be run')")
    found = watching.watched_path(_target(module="project.defs", working_directory=tmp_path))
    assert found == tmp_path / "project"
    assert watching.watched_path(_target(module="single", working_directory=tmp_path)) == tmp_path / "single.py"


def test_an_installed_module_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed_somewhere").mkdir()
    (tmp_path / "installed_somewhere" / "__init__.py").write_text("raise AssertionError('not to be run')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert watching.watched_path(_target(package="installed_somewhere.a")) == tmp_path / "installed_somewhere"
    assert watching.watched_path(_target(module="no_such_module_anywhere")) is None


def _rounds_with(paths: list[Path], acts: dict[int, Callable[[], object]]) -> list[bool]:
    """Run rounds, doing ``acts`` by their number, until one says that files changed."""
    stop = threading.Event()
    seen = []
    for number, changed in enumerate(watching.rounds(paths, stop, pause_seconds=0.05)):
        seen.append(changed)
        acts.get(number, lambda: None)()
        if changed or number > 200:
            stop.set()
    return seen


def test_a_change_of_code_is_noticed_and_one_of_data_is_not(tmp_path: Path) -> None:
    data, code = tmp_path / "data.bin", tmp_path / "code.py"
    seen = _rounds_with([tmp_path], {0: lambda: data.write_text("x"), 15: lambda: code.write_text("x = 1")})
    assert seen[-1]
    assert len(seen) > 15


def test_a_file_that_is_replaced_by_another_of_its_name_is_noticed(tmp_path: Path) -> None:
    code, other = tmp_path / "code.py", tmp_path / "other.py"
    code.write_text("x = 1")

    def replace() -> None:
        (tmp_path / "code.py.new").write_text("x = 2")
        (tmp_path / "code.py.new").rename(code)

    seen = _rounds_with([code], {0: lambda: other.write_text("y = 1"), 15: replace})
    assert seen[-1]
    assert len(seen) > 15


def test_without_anything_to_watch_the_rounds_go_on(tmp_path: Path) -> None:
    stop = threading.Event()
    seen = []
    for changed in watching.rounds([tmp_path / "gone"], stop, pause_seconds=0.01):
        seen.append(changed)
        if len(seen) == 3:
            stop.set()
    assert seen == [False] * 3
