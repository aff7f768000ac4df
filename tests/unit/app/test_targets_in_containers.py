"""How a container is told to load a location's code, and the image that its workers run."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchord.location import LocationTarget, load_location

CODE = """\
import orchord as dg
@dg.op
def nothing(): pass
@dg.job(executor_def=dg.docker_executor.configured({'image': {'env': 'IMAGE'}}))
def nothing_in_a_box(): nothing()
defs = dg.Definitions(jobs=[nothing_in_a_box])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Modules stay imported, so that each test has its own.
    for name in ("code_in_a_box", "module_in_a_box", "installed_in_a_box"):
        (tmp_path / f"{name}.py").write_text(CODE)
    return tmp_path


def test_a_file_is_told_by_its_whole_path(folder, monkeypatch):
    monkeypatch.chdir(folder)
    told = load_location(LocationTarget(file=Path("code_in_a_box.py"))).snapshot.target
    assert told[:2] == ("-f", str(folder / "code_in_a_box.py"))
    assert told[-2:] == ("--location-name", "code_in_a_box")


def test_a_module_is_told_with_the_folder_that_it_was_found_in(folder):
    target = LocationTarget(module="module_in_a_box", working_directory=folder, attribute="defs")
    told = ("-m", "module_in_a_box", "-a", "defs", "-d", str(folder), "--location-name", "module_in_a_box")
    assert load_location(target).snapshot.target == told


def test_a_module_that_was_found_elsewhere_is_told_without_a_folder(folder, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.syspath_prepend(str(folder))
    target = LocationTarget(module="installed_in_a_box", working_directory=elsewhere, name="box")
    assert load_location(target).snapshot.target == ("-m", "installed_in_a_box", "--location-name", "box")


@pytest.mark.parametrize("variable", ["ORCHORD_CURRENT_IMAGE", "DAGSTER_CURRENT_IMAGE"])
def test_the_image_is_what_the_environment_says(folder, monkeypatch, variable):
    target = LocationTarget(file=folder / "code_in_a_box.py")
    assert load_location(target).snapshot.image is None
    monkeypatch.setenv(variable, "mine:1")
    assert load_location(target).snapshot.image == "mine:1"


def test_what_an_executor_was_configured_with_is_told_and_no_value_of_a_variable(folder, monkeypatch):
    monkeypatch.setenv("IMAGE", "not to be seen")
    job = load_location(LocationTarget(file=folder / "code_in_a_box.py")).snapshot.job_by_name["nothing_in_a_box"]
    assert (job.executor, job.names_executor) == ("docker_executor", True)
    assert job.executor_config == {"image": {"env": "IMAGE"}}
