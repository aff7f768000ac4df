"""What `orchord` offers: exactly the names in public_names.txt, by re-exports and nothing else."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchord

NAMES = (Path(__file__).parent / "public_names.txt").read_text().split()
FACE = Path("app/orchord/__init__.py")
MOST_LATE_LINES = 5


def offered() -> set[str]:
    return {name for name in dir(orchord) if not name.startswith("_")}


def submodules() -> set[str]:
    return {path.stem for path in Path(orchord.__file__).parent.iterdir()}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk statements, into both branches of ``if TYPE_CHECKING``."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from statements([*statement.body, *statement.orelse])
        else:
            yield statement


def other_than_reexports(module) -> list[str]:
    """The face holds imports, a table of late names, and the two functions that look names up in it."""
    mistakes = []
    for number, statement in enumerate(statements(module.tree.body)):
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) if number == 0:
                continue
            case ast.Import(names=[ast.alias(name="importlib" | "typing", asname=str(private))]) if private[0] == "_":
                continue
            case ast.ImportFrom(module=str(origin)) if origin.startswith(("orchord.", "__future__")):
                continue
            case ast.Assign(targets=[ast.Name(id="_LATE" | "__all__")]):
                continue
            case ast.FunctionDef(name="__getattr__" | "__dir__") if len(statement.body) <= MOST_LATE_LINES:
                continue
        mistakes.append(f"{module.at(statement.lineno)} is more than a re-export")
    return mistakes


def test_the_list_is_sorted_and_names_nothing_twice() -> None:
    assert sorted(set(NAMES), key=str.lower) == NAMES


def test_orchord_offers_exactly_the_listed_names() -> None:
    found = offered() - submodules()
    wanted = set(NAMES)
    assert found - wanted == set(), "offered, and not in public_names.txt"
    assert wanted - offered() == set(), "in public_names.txt, and not offered"


def test_every_name_can_be_imported() -> None:
    assert [name for name in NAMES if getattr(importlib.import_module("orchord"), name, None) is None] == []


def test_the_face_holds_only_reexports(product) -> None:
    (face,) = (module for module in product if module.path == FACE)
    mistakes = other_than_reexports(face)
    assert not mistakes, "\n".join(mistakes)


@pytest.mark.parametrize(
    "line",
    ["X = 1", "def helper(): pass", "class A: pass", "import json", "from json import loads", "for x in []: pass"],
)
def test_the_rule_sees_what_is_more_than_a_reexport(sample, line: str) -> None:
    assert other_than_reexports(sample("x.py", f'"""Words."""\n{line}')) != []
    good = '"""Words."""\nimport typing as _typing\nfrom orchord.runs import Run as Run\nif _typing.TYPE_CHECKING: pass'
    assert other_than_reexports(sample("x.py", good.replace("pass", "from orchord.x import Y"))) == []
