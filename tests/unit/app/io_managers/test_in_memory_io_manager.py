"""InMemoryIOManager: it gives back the very object, by run and step or by asset, and says when it has none."""

from __future__ import annotations

import pytest

from orchord.definitions.io_context import build_input_context, build_output_context
from orchord.definitions.resources import build_resources
from orchord.errors import InvariantViolationError
from orchord.io_managers import InMemoryIOManager, mem_io_manager


def test_it_gives_back_the_very_object() -> None:
    manager, value = InMemoryIOManager(), object()
    output = build_output_context(step_key="step", name="result", run_id="run")
    manager.handle_output(output, value)
    assert manager.load_input(build_input_context(upstream_output=output)) is value


def test_assets_are_found_by_key_whatever_run_made_them() -> None:
    manager = InMemoryIOManager()
    manager.handle_output(build_output_context(step_key="s", name="result", run_id="one", asset_key="orders"), 1)
    later = build_output_context(step_key="s", name="result", run_id="two", asset_key="orders")
    assert manager.load_input(build_input_context(asset_key="orders", upstream_output=later)) == 1


def test_a_value_of_another_process_is_an_error_that_says_so() -> None:
    output = build_output_context(step_key="step", name="result", run_id="run")
    with pytest.raises(InvariantViolationError, match=r"No value is in memory for run/step/result.*another process"):
        InMemoryIOManager().load_input(build_input_context(upstream_output=output))


def test_each_set_up_of_the_definition_starts_empty() -> None:
    for _ in range(2):
        with build_resources({"io_manager": mem_io_manager}) as resources:
            assert resources.io_manager.values == {}
            resources.io_manager.values["x",] = 1
