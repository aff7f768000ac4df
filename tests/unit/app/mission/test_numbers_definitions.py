"""The numbers code of Dagster's users loads with only its imports changed, and gives 55 in every way it can be run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import orchord as dg


@pytest.fixture(scope="module")
def numbers() -> ModuleType:
    """The module, loaded from its file as users' code is."""
    path = Path(__file__).with_name("numbers_definitions.py")
    spec = importlib.util.spec_from_file_location("numbers_definitions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_job_of_ops_gives_55(numbers: ModuleType) -> None:
    result = numbers.process_numbers.execute_in_process()
    assert result.success
    assert result.output_for_node("sum_two_sums") == 55
    assert result.run.tags == {"domain": "numbers"}


def test_the_assets_give_55_materialized(numbers: ModuleType) -> None:
    result = dg.materialize([asset for asset in vars(numbers).values() if isinstance(asset, dg.AssetsDefinition)])
    assert result.asset_value("summed_two_sums") == 55
    assert len(result.get_asset_materialization_events()) == 6


@pytest.mark.parametrize(
    ("job", "node"),
    [
        ("process_numbers", "sum_two_sums"),
        ("process_numbers_k8s", "sum_two_sums"),
        ("process_numbers_asset", "summed_two_sums"),
        ("process_numbers_asset_k8s", "summed_two_sums"),
    ],
)
def test_every_job_of_the_definitions_gives_55_in_process(numbers: ModuleType, job: str, node: str) -> None:
    # Of the two asset jobs one is known by its schedule alone, the other is added to the definitions here.
    defs = dg.Definitions.merge(numbers.defs, dg.Definitions(jobs=[numbers.process_numbers_asset_k8s]))
    assert defs.get_job_def(job).execute_in_process().output_for_node(node) == 55


def test_ops_and_assets_are_functions_too(numbers: ModuleType) -> None:
    assert numbers.sum_two_sums(30, 25) == 55
    assert numbers.filtered_even_numbers(numbers.generated_numbers()) == [2, 4, 6, 8, 10]


def test_the_module_also_runs_as_a_program(numbers: ModuleType) -> None:
    path = Path(numbers.__file__ or "")
    program = f"import runpy; m = runpy.run_path({str(path)!r}); r = m['process_numbers'].execute_in_process()"
    check = f"{program}; print(r.output_for_node('sum_two_sums'))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "55\n"
