"""`orchord/__init__.py` holds re-exports and nothing else. Its names stand in tests/unit/app/test_public_names.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FACE = Path("app/orchord/__init__.py")
MOST_LATE_LINES = 5


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk statements, into both branches of ``if TYPE_CHECKING``."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from statements([*statement.body, *statement.orelse])
        else:
            yield statement


def other_than_reexports(module) -> list[str]:
    """The face holds imports, the table of names with its lock, and the two functions that look names up in it."""
    mistakes = []
    for number, statement in enumerate(statements(module.tree.body)):
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) if number == 0:
                continue
            case ast.Import(names=[ast.alias("importlib" | "threading" | "typing", str(private))]) if private[0] == "_":
                continue
            case ast.ImportFrom(module=str(origin)) if origin.startswith(("orchord.", "__future__")):
                continue
            case ast.Assign(targets=[ast.Name(id="_LATE" | "_LOCK" | "__all__")]):
                continue
            case ast.FunctionDef(name="__getattr__" | "__dir__") if len(statement.body) <= MOST_LATE_LINES:
                continue
        mistakes.append(f"{module.at(statement.lineno)} is more than a re-export")
    return mistakes


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
