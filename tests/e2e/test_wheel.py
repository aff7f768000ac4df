"""A wheel built from the tree, installed where nothing of the tree is: what users get from the index."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SMALL_JOB = """
import orchord
import orchord_beat
import orchord_web
import orchord_workers
from orchord import job, op

@op
def two():
    return 2

@op
def double(value):
    return 2 * value

@job
def four():
    double(two())

result = four.execute_in_process()
assert result.success
print(orchord.__file__, result.output_for_node("double"))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command: str | Path, folder: Path) -> str:
    """Run a program in a folder outside of the tree; return what it printed."""
    result = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False, timeout=500
    )
    assert result.returncode == 0, f"{command[0]} exited with {result.returncode}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "dist", ROOT, folder=folder)
    (found,) = (folder / "dist").glob("orchord-*.whl")
    return found


@pytest.fixture(scope="module")
def clean_venv(folder: Path, wheel: Path) -> Path:
    """The ``bin`` folder of a venv that holds the wheel and what it depends on, and nothing else."""
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel, folder=folder)
    return programs


def test_the_wheel_holds_four_typed_packages_and_all_their_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packages = {"app": "orchord", "workers": "orchord_workers", "beat": "orchord_beat", "web": "orchord_web"}
    for source_root, package in packages.items():
        on_disk = {
            path.relative_to(ROOT / source_root).as_posix()
            for path in (ROOT / source_root / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert f"{package}/py.typed" in names
        assert on_disk - names == set()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {*packages.values()}


def test_the_command_answers(clean_venv: Path, folder: Path) -> None:
    assert "dev" in run(clean_venv / "orchord", "--help", folder=folder)
    assert run(clean_venv / "orchord", "--version", folder=folder).startswith("orchord")


def test_a_small_job_runs_in_process(clean_venv: Path, folder: Path) -> None:
    where, value = run(clean_venv / "python", "-W", "error", "-c", SMALL_JOB, folder=folder).split()
    assert Path(where).is_relative_to(folder / "venv")
    assert value == "4"
