"""Chaos in a bounded form: one seed of ``make chaos``, with fewer runs. The program is tests/chaos/chaos.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).resolve().parents[1] / "chaos" / "chaos.py"
ZERO = ("lost", "wrong", "doubled", "leaked", "ticks_missed", "ticks_doubled")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_everything_dies_and_every_run_ends_as_its_plan_says(postgres_server, valkey_server, tmp_path: Path) -> None:
    report = tmp_path / "chaos.json"
    done = subprocess.run(
        [sys.executable, str(CHAOS), "--seeds", "1", "--runs", "20", "--seconds", "35", "--json", str(report)],
        capture_output=True,
        text=True,
        timeout=220,
    )
    assert report.exists(), done.stdout + done.stderr
    (seed,) = json.loads(report.read_text())
    assert {name: seed[name] for name in ZERO} == dict.fromkeys(ZERO, 0), done.stdout
    assert seed["runs"] == 20
    assert sum(seed["faults"].values()) >= 5
    assert done.returncode == 0, done.stdout
