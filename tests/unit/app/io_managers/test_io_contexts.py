"""Contexts for IO managers as tests of users build them: what they hold, what they lack, what is noted on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchord.definitions.assets.results import AssetMaterialization
from orchord.definitions.io_context import build_input_context, build_output_context
from orchord.definitions.resources import resource
from orchord.errors import InvariantViolationError


def test_a_context_holds_what_it_was_given() -> None:
    output = build_output_context(
        step_key="step", name="result", run_id="run", metadata={"table": "t"}, config={"a": 1}, asset_key=["x", "y"]
    )
    assert output.get_identifier() == ["run", "step", "result"]
    assert output.get_asset_identifier() == ["x", "y"]
    assert (output.metadata, output.definition_metadata, output.config) == ({"table": "t"}, {"table": "t"}, {"a": 1})
    loaded = build_input_context(name="x", upstream_output=output)
    assert loaded.get_identifier() == output.get_identifier()
    assert (loaded.has_input_name, loaded.has_asset_key, loaded.has_partition_key) == (True, False, False)
    assert not build_input_context().has_input_name


@pytest.mark.parametrize(
    "attribute", ["name", "op_def", "asset_key", "step_key", "run_id", "asset_spec"], ids=lambda name: name
)
def test_what_an_output_context_lacks_is_an_error_that_says_how_to_give_it(attribute: str) -> None:
    with pytest.raises(InvariantViolationError, match=f"no '{attribute}'. In a test, give it: build_output_context"):
        getattr(build_output_context(), attribute)


def test_an_input_without_upstream_has_no_identifier() -> None:
    with pytest.raises(InvariantViolationError, match="This InputContext has no 'upstream_output'"):
        build_input_context(name="x").get_identifier()


def test_metadata_and_events_are_noted() -> None:
    context = build_output_context(name="result")
    context.add_output_metadata({"rows": 3})
    context.log_event(AssetMaterialization("orders"))
    assert context.get_logged_metadata()["rows"].value == 3
    assert [event.asset_key.to_user_string() for event in context.get_logged_events()] == ["orders"]
    with pytest.raises(InvariantViolationError, match="Metadata 'rows' of output 'result' is set twice. Give each"):
        context.add_output_metadata({"rows": 4})


def test_resources_may_be_objects_or_definitions_and_are_torn_down_with_the_context() -> None:
    order = []

    @resource
    def db(context: Any) -> Iterator[str]:
        order.append("up")
        yield "connection"
        order.append("down")

    with build_output_context(resources={"db": db, "limit": 5}) as context:
        assert not order
        assert (context.resources.db, context.resources.limit) == ("connection", 5)
    assert order == ["up", "down"]
    assert build_input_context(resources={"limit": 5}).resources.limit == 5
