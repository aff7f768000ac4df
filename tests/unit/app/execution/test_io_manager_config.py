"""``context.resource_config`` of IO managers, and values of inputs in run config: read as their types say."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.config import EnvVar, Field, IntSource
from orchord.definitions.io_manager import io_manager
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.resources.io_manager_classes import ConfigurableIOManager, IOManager


class Keeps(IOManager):
    """Keeps values, and the configs that it is told of."""

    def __init__(self) -> None:
        self.value: Any = None
        self.configs: list[Any] = []

    def handle_output(self, context: Any, obj: Any) -> None:
        self.configs.append(context.resource_config)
        self.value = obj

    def load_input(self, context: Any) -> Any:
        self.configs += [context.resource_config, context.upstream_output.resource_config]
        return self.value


@op
def one() -> int:
    return 1


@op
def after(x: int) -> None: ...


def configs_of(keeper: Keeps, manager: Any, run_config: Any = None) -> list[Any]:
    @job(resource_defs={"io_manager": manager})
    def made() -> None:
        after(one())

    made.execute_in_process(run_config)
    return keeper.configs[:3]


def test_config_is_checked_filled_in_and_read_as_its_type_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIZE", "5")
    keeper = Keeps()

    @io_manager(config_schema={"size": IntSource, "kind": Field(str, default_value="flat"), "raw": Field(dict, {})})
    def sized(context: Any) -> Any:
        return keeper

    config = {"size": {"env": "SIZE"}, "raw": {"env": "plain data"}}
    expected = {"size": 5, "kind": "flat", "raw": {"env": "plain data"}}
    assert configs_of(keeper, sized, {"resources": {"io_manager": {"config": config}}}) == [expected] * 3


def test_config_passes_through_configured() -> None:
    keeper = Keeps()

    @io_manager(config_schema={"size": int})
    def sized(context: Any) -> Any:
        return keeper

    assert configs_of(keeper, sized.configured({"size": 7})) == [{"size": 7}] * 3


def test_managers_without_config_have_none() -> None:
    keeper = Keeps()
    assert configs_of(keeper, keeper) == [None] * 3


def test_a_configurable_manager_has_its_own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    keeper = Keeps()

    class Storing(ConfigurableIOManager):
        token: str
        size: int = 1

        def handle_output(self, context: Any, obj: Any) -> None:
            keeper.handle_output(context, obj)

        def load_input(self, context: Any) -> Any:
            return keeper.load_input(context)

    assert configs_of(keeper, Storing(token=EnvVar("TOKEN"))) == [{"token": "secret", "size": 1}] * 3


def test_data_that_only_looks_like_a_variable_stays_an_inputs_value() -> None:
    @op
    def given(anything: Any, settings: dict[str, Any]) -> Any:
        return anything, settings

    @job
    def made() -> None:
        given()

    inputs = {"anything": {"env": "NO_SUCH"}, "settings": {"value": {"env": "NO_SUCH"}}}
    result = made.execute_in_process({"ops": {"given": {"inputs": inputs}}})
    assert result.output_for_node("given") == ({"env": "NO_SUCH"}, {"env": "NO_SUCH"})
