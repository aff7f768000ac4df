"""What the product imports of others is declared in pyproject.toml, and does not merely happen to be installed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

OWN = {"orchord", "orchord_workers", "orchord_beat", "orchord_web"}
# A part of type checkers, never imported at run time.
TYPES_ALONE = {"_typeshed"}
# Pinned and installed by the declared package on the right, which shows them as part of its own interface.
PART_OF = {"pydantic_core": "pydantic", "billiard": "celery", "werkzeug": "flask"}


def declared() -> set[str]:
    """Return the names of all that pyproject.toml lists, its extras for users included."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for_users = (line for name, lines in extras.items() if name != "test" for line in lines)
    lines = [*project["dependencies"], *for_users]
    return {_normal(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(tree: ast.AST) -> set[str]:
    """Return the top-level packages that a module imports, those of others alone."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found - OWN - TYPES_ALONE - set(sys.stdlib_module_names)


def undeclared(modules, known: set[str]) -> list[str]:
    installed = packages_distributions()
    mistakes = []
    for module in modules:
        for name in sorted(imported(module.tree)):
            package = PART_OF.get(name, name)
            names = {_normal(item) for item in installed.get(package, [package])}
            if not names & known:
                mistakes.append(f"{module.path} imports {name}, which pyproject.toml does not declare")
    return mistakes


def test_every_import_is_declared(product) -> None:
    mistakes = undeclared(product, declared())
    assert not mistakes, "\n".join(mistakes)


@pytest.mark.parametrize("line", ["import numpy", "from pytest.x import y", "def f():\n    import pytest"])
def test_the_rule_sees_what_is_not_declared(sample, line: str) -> None:
    assert undeclared([sample("x.py", f'"""Words."""\n{line}')], declared()) != []
    good = '"""Words."""\nimport json, yaml\nfrom pydantic_core import x\nfrom orchord.runs import Run'
    assert undeclared([sample("x.py", good)], declared()) == []
