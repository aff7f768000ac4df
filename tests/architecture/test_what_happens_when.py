"""docs/what-happens-when.md promises nothing that no test shows: each line names a test, and each name is there."""

from __future__ import annotations

import ast
import re

LINE = re.compile(r"^\|(?!---| when)(.+)\|(.+)\|(.+)\|$", flags=re.MULTILINE)


def promises(text: str) -> list[tuple[str, list[str]]]:
    """Return each line's first cell, and the tests that its last one names."""
    return [(match[1].strip(), re.findall(r"`(test_\w+)`", match[3])) for match in LINE.finditer(text)]


def test_each_line_is_backed_by_a_test_that_exists(root, test_files) -> None:
    names = {node.name for module in test_files for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef)}
    found = promises((root / "docs" / "what-happens-when.md").read_text())
    assert len(found) > 20
    mistakes = [f"{line}: names no test" for line, tests in found if not tests]
    mistakes += [f"{line}: there is no {test}" for line, tests in found for test in tests if test not in names]
    assert not mistakes, "\n".join(mistakes)


def test_the_readme_leads_there(root) -> None:
    assert "docs/what-happens-when.md" in (root / "README.md").read_text()


def test_a_line_without_a_test_is_seen() -> None:
    text = "| when … | then … | shown by |\n|---|---|---|\n| a | b | `test_x` |\n| c | d | nothing |\n"
    assert promises(text) == [("a", ["test_x"]), ("c", [])]
