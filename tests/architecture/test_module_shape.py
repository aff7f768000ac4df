"""How a file looks: its length, its name, its opening words, and where packages begin."""

from __future__ import annotations

import ast
from collections import defaultdict

LONGEST = 700
SHORTEST_OPENING, LONGEST_OPENING = 2, 6
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
TREE_CHARACTERS = "├└│"


def too_long(modules):
    return [
        f"{module.path} has {len(module.lines)} lines; the most is {LONGEST}"
        for module in modules
        if len(module.lines) > LONGEST and not module.is_generated
    ]


def badly_opened(modules):
    """Each module says in 2 to 6 lines what lives in it and what does not; drawings and blank lines do not count."""
    mistakes, seen = [], defaultdict(list)
    for module in modules:
        opening = ast.get_docstring(module.tree)
        if opening is None:
            mistakes.append(f"{module.path} has no docstring")
            continue
        lines = [line for line in opening.splitlines() if line.strip() and not set(line) & set(TREE_CHARACTERS)]
        if not SHORTEST_OPENING <= len(lines) <= LONGEST_OPENING and not module.is_generated:
            mistakes.append(
                f"{module.path} opens with {len(lines)} lines; {SHORTEST_OPENING} to {LONGEST_OPENING} it is"
            )
        seen[" ".join(opening.split())].append(str(module.path))
    mistakes += [f"these open with the same words: {', '.join(paths)}" for paths in seen.values() if len(paths) > 1]
    return mistakes


def badly_named(modules):
    return [
        f"{module.path} is named for nothing"
        for module in modules
        if FORBIDDEN_NAMES & {*module.path.with_suffix("").parts}
    ]


def test_no_file_is_longer_than_700_lines(everything):
    mistakes = too_long(everything)
    assert not mistakes, "\n".join(mistakes)


def test_every_module_opens_with_its_own_few_lines(product):
    mistakes = badly_opened(product)
    assert not mistakes, "\n".join(mistakes)


def test_no_module_is_named_for_nothing(everything):
    mistakes = badly_named(everything)
    assert not mistakes, "\n".join(mistakes)


def test_no_package_stands_directly_in_a_top_level_folder(root):
    assert [
        folder for folder in ("app", "workers", "beat", "web", "tests") if (root / folder / "__init__.py").exists()
    ] == []


def test_tests_are_no_packages(root):
    mistakes = list((root / "tests").rglob("__init__.py"))
    assert not mistakes, "\n".join(mistakes)


def test_every_package_says_that_it_is_typed(root):
    packages = ["app/orchord", "workers/orchord_workers", "beat/orchord_beat", "web/orchord_web"]
    assert [package for package in packages if not (root / package / "py.typed").exists()] == []


class TestTheRulesSeeWhatTheyForbid:
    def test_a_long_file(self, sample):
        assert too_long([sample("app/a.py", "\n" * 701)]) == ["app/a.py has 701 lines; the most is 700"]
        assert too_long([sample("app/versions/a.py", "\n" * 701), sample("app/a.py", "\n" * 700)]) == []

    def test_an_opening_that_is_missing_short_long_or_copied(self, sample):
        good = '"""What.\n\nMore.\n├── tree\n"""'
        assert badly_opened([sample("a.py", good)]) == []
        assert badly_opened([sample("a.py", "x = 1")]) == ["a.py has no docstring"]
        assert "opens with 1 lines" in badly_opened([sample("a.py", '"""What."""')])[0]
        assert "opens with 7 lines" in badly_opened([sample("a.py", '"""' + "What.\n" * 7 + '"""')])[0]
        assert badly_opened([sample("a.py", good), sample("b.py", good)]) == [
            "these open with the same words: a.py, b.py"
        ]

    def test_a_name_for_nothing(self, sample):
        assert badly_named([sample("app/orchord/utils.py", "")]) == ["app/orchord/utils.py is named for nothing"]
        assert badly_named([sample("app/orchord/common/x.py", ""), sample("app/orchord/base.py", "")]) != []
        assert badly_named([sample("app/orchord/backoff.py", "")]) == []
