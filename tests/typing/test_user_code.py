"""What a type checker says of users' code: what must pass passes, and what must not pass is named on its line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
EXPECTED = re.compile(r"#\s*expect-error:\s*([a-z, -]+)")
REPORTED = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*?)\s+\[(?P<code>[a-z-]+)\]$")

Mistake = tuple[str, int, str]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[Mistake, str]:
    """What mypy says of all user code here: the message of each error by file, line and code."""
    folder = tmp_path_factory.mktemp("mypy")
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\nplugins = pydantic.mypy\n[pydantic-mypy]\ninit_typed = True\n")
    paths = sorted(path for name in ("accepted", "rejected") for path in (HERE / name).glob("*.py"))
    # A type checker sees Orchord as users have it: found by its installation, not by its source roots.
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", folder / "cache", "--no-error-summary"]
        + ["--hide-error-context", "--no-color-output", "--no-pretty", "--show-error-codes", *paths],
        cwd=HERE, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found: dict[Mistake, str] = {}
    for line in result.stdout.splitlines():
        match = REPORTED.match(line)
        if match:
            found[match["file"], int(match["line"]), match["code"]] = match["text"]
        else:
            assert ": note: " in line, f"mypy said: {line}"
    return found


def expected(name: str) -> set[Mistake]:
    return {
        (str(path.relative_to(HERE)), number, code.strip())
        for path in (HERE / name).glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (match := EXPECTED.search(line))
        for code in match[1].split(",")
    }


@pytest.mark.timeout(300)
def test_good_user_code_is_accepted(reported: dict[Mistake, str]) -> None:
    found = [f"{place}: {text}" for place, text in reported.items() if place[0].startswith("accepted")]
    assert not found, "\n".join(found)


def test_bad_user_code_is_rejected_where_it_is_wrong(reported: dict[Mistake, str]) -> None:
    found = {place: text for place, text in reported.items() if place[0].startswith("rejected")}
    assert expected("rejected") - found.keys() == set(), "accepted, although wrong"
    others = [f"{place}: {found[place]}" for place in sorted(found.keys() - expected("rejected"))]
    assert not others, "\n".join(others)


def test_no_module_of_ours_has_an_error_of_its_own(reported: dict[Mistake, str]) -> None:
    assert {place: text for place, text in reported.items() if not place[0].startswith(("accepted", "rejected"))} == {}


def test_there_is_something_to_reject() -> None:
    assert len(expected("rejected")) > 10
