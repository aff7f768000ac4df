"""The tree as data for the architecture tests: every Python file, read and parsed once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("app", "workers", "beat", "web")
OTHER_ROOTS = ("tests", "benchmarks", "examples")


@dataclass(frozen=True)
class Module:
    """One Python file: ``path`` is relative to the repository, ``text`` its source."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def is_generated(self) -> bool:
        """Whether it is a migration: these are written once and never read as a whole."""
        return "versions" in self.path.parts

    def at(self, line: int) -> str:
        return f"{self.path}:{line}"


def read(*roots: str) -> list[Module]:
    """Return every Python file below these top-level folders."""
    paths = [path for root in roots for path in sorted((ROOT / root).rglob("*.py"))]
    return [Module(path.relative_to(ROOT), path.read_text()) for path in paths if "__pycache__" not in path.parts]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def product() -> list[Module]:
    """The files of the four packages."""
    return read(*SOURCE_ROOTS)


@pytest.fixture(scope="session")
def test_files() -> list[Module]:
    """The files below tests/."""
    return read("tests")


@pytest.fixture(scope="session")
def everything(product: list[Module]) -> list[Module]:
    """Every Python file of the repository."""
    return [*product, *read(*OTHER_ROOTS)]


@pytest.fixture(scope="session")
def sample() -> Callable[[str, str], Module]:
    """Make a module that is not on disk, to show that a rule sees what it forbids."""
    return lambda path, text: Module(Path(path), text)
