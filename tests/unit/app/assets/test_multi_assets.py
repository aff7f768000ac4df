"""@multi_asset, @graph_asset, @graph_multi_asset, AssetsDefinition.from_op: several assets, or several ops."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError, InvalidInvocationError


def refused(define) -> str:
    with pytest.raises(InvalidDefinitionError) as caught:
        define()
    return str(caught.value)


def key(text: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(text)


@dg.op
def increment(number):
    return number + 1


@dg.op(out={"low": dg.Out(), "high": dg.Out()})
def split_in_two(number):
    return number, number


def test_outs_name_the_assets_and_depend_on_all_inputs():
    @dg.multi_asset(
        outs={"low": dg.AssetOut(), "high": dg.AssetOut(key_prefix="top", group_name="own")}, group_name="all"
    )
    def split(raw): ...

    assert split.keys == {key("low"), key("top/high")}
    assert split.asset_deps == {key("low"): {key("raw")}, key("top/high"): {key("raw")}}
    assert split.group_names_by_key == {key("low"): "all", key("top/high"): "own"}
    assert list(split.op.outs) == ["low", "high"]


def test_internal_deps_replace_the_rule_that_all_depend_on_all_inputs():
    @dg.multi_asset(
        outs={"low": dg.AssetOut(), "high": dg.AssetOut()},
        internal_asset_deps={"low": {dg.AssetKey("raw")}, "high": {dg.AssetKey("low")}},
    )
    def split(raw): ...

    assert split.asset_deps == {key("low"): {key("raw")}, key("high"): {key("low")}}


def test_specs_say_their_own_deps_and_nothing_is_stored():
    @dg.multi_asset(specs=[dg.AssetSpec("a", deps=["raw"]), dg.AssetSpec("b", deps=["a"])], can_subset=True)
    def tables(): ...

    assert tables.asset_deps == {key("a"): {key("raw")}, key("b"): {key("a")}}
    assert set(tables.op.ins) == {"raw"}
    assert all(out.is_nothing and not out.is_required for out in tables.op.outs.values())


def test_can_subset_makes_outputs_optional():
    @dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()}, can_subset=True)
    def split(): ...

    assert split.can_subset
    assert not any(out.is_required for out in split.op.outs.values())


def test_every_mistake_of_a_multi_asset_is_told_at_once():
    def define():
        @dg.multi_asset(
            outs={"low": dg.AssetOut(), "high": "high"},
            specs=[dg.AssetSpec("a"), "b"],
            deps=["raw"],
            internal_asset_deps={"lwo": set()},
        )
        def split(): ...

    text = refused(define)
    assert text.startswith("Multi-asset 'split' (assets/test_multi_assets.py:")
    assert "it needs either outs= or specs=, and not both" in text
    assert "it has deps= and specs=: give each AssetSpec its own deps=" in text
    assert "internal_asset_deps names 'lwo', which is none of outs=. Did you mean 'low'?" in text
    assert "specs= holds 'b': give AssetSpecs" in text


def test_outs_hold_asset_outs():
    def define():
        @dg.multi_asset(outs={"low": "low"})
        def split(): ...

    assert "outs= has 'low' for 'low': give an AssetOut" in refused(define)


def test_a_graph_asset_runs_its_ops_and_is_one_asset():
    @dg.asset
    def number():
        return 1

    @dg.graph_asset(group_name="sums", ins={"start": dg.AssetIn("number")})
    def increased(start):
        """Two more."""
        return increment(increment(start))

    assert increased.key == key("increased")
    assert increased.dependency_keys == {key("number")}
    assert increased.get_asset_spec().description == "Two more."
    result = dg.materialize_to_memory([number, increased])
    assert result.asset_value("increased") == 3


def test_a_graph_multi_asset_returns_its_outputs_by_name():
    @dg.asset
    def number():
        return 5

    @dg.graph_multi_asset(outs={"small": dg.AssetOut(), "large": dg.AssetOut(key_prefix="big")})
    def parts(number):
        low, high = split_in_two(number)
        return {"small": low, "large": increment(high)}

    assert parts.keys == {key("small"), key("big/large")}
    result = dg.materialize_to_memory([number, parts])
    assert (result.asset_value("small"), result.asset_value(["big", "large"])) == (5, 6)


def test_mistakes_of_a_graph_asset_are_told_at_once():
    def define():
        @dg.graph_asset(group_name="not a group", ins={"strat": dg.AssetIn("number")})
        def increased(start):
            return increment(start, 3)

    text = refused(define)
    assert text.startswith("Graph asset 'increased' (assets/test_multi_assets.py:")
    assert "it has group_name='not a group'" in text
    assert "ins= names 'strat', which is no parameter of the function. Did you mean 'start'?" in text
    assert "op 'increment' takes 1 input (number), and is given 2 values" in text


def test_a_graph_asset_returns_an_output():
    def define():
        @dg.graph_asset
        def increased(start):
            increment(start)

    assert "it returns no single output: return what the last op gives" in refused(define)


def test_the_op_of_a_graph_asset_is_asked_for_in_vain():
    @dg.graph_asset
    def increased(start):
        return increment(start)

    with pytest.raises(InvalidInvocationError, match=r"'increased' is made by a graph. Use its node_def."):
        _ = increased.op


def test_an_op_that_stands_already_becomes_assets():
    definition = dg.AssetsDefinition.from_op(
        split_in_two,
        keys_by_input_name={"number": dg.AssetKey("raw")},
        keys_by_output_name={"low": dg.AssetKey("bottom")},
        group_name="parts",
    )
    assert definition.keys == {key("bottom"), key("high")}
    assert definition.dependency_keys == {key("raw")}
    assert set(definition.group_names_by_key.values()) == {"parts"}


def test_names_that_a_node_does_not_have_are_told_with_the_nearest():
    text = refused(
        lambda: dg.AssetsDefinition.from_op(
            split_in_two,
            keys_by_input_name={"nubmer": dg.AssetKey("raw")},
            tags_by_output_name={"hihg": {}},
        )
    )
    assert "The assets of op 'split_in_two' cannot be right (2 mistakes)" in text
    assert "keys_by_input_name names 'nubmer', which is no input of it. Did you mean 'number'?" in text
    assert "tags_by_output_name names 'hihg', which is no output of it. Did you mean 'high'?" in text


def test_with_attributes_changes_keys_groups_tags_and_metadata():
    @dg.multi_asset(outs={"low": dg.AssetOut(tags={"a": "1"}, kinds={"python"}), "high": dg.AssetOut()})
    def split(raw): ...

    changed = split.with_attributes(
        asset_key_replacements={key("low"): key("new/low"), key("raw"): key("new/raw")},
        group_names_by_key={key("low"): "sales"},
        tags_by_key={key("low"): {"b": "2"}},
        metadata_by_key={key("high"): {"rows": 1}},
    )
    low = changed.get_asset_spec("low") if key("low") in changed.keys else changed.get_asset_spec(["new", "low"])
    assert low.group_name == "sales"
    assert low.tags == {"a": "1", "b": "2", "dagster/kind/python": ""}
    assert changed.keys_by_input_name == {"raw": key("new/raw")}
    assert changed.keys_by_output_name == {"low": key("new/low"), "high": key("high")}
    assert changed.asset_deps[key("new/low")] == {key("new/raw")}
    assert changed.get_asset_spec("high").metadata == {"rows": 1}
    assert split.keys == {key("low"), key("high")}


def test_a_group_is_not_changed_silently():
    @dg.asset(group_name="sales")
    def orders(): ...

    text = refused(lambda: orders.with_attributes(group_names_by_key={orders.key: "other"}))
    assert text == "Assets cannot change their group: orders is in the group 'sales', and would go to 'other'"


def test_specs_are_mapped_but_keys_stay():
    @dg.asset
    def orders(): ...

    tagged = orders.map_asset_specs(lambda spec: spec.merge_attributes(tags={"tier": "gold"}))
    assert tagged.get_asset_spec().tags == {"tier": "gold"}
    text = refused(lambda: orders.map_asset_specs(lambda spec: spec.replace_attributes(key="other")))
    assert text == "map_asset_specs changed the key or deps of orders. Use with_attributes for keys."


def test_an_asset_of_another_location_is_a_source_asset():
    @dg.asset(io_manager_key="lake", group_name="sales")
    def orders(): ...

    source = orders.to_source_asset()
    assert (source.key, source.io_manager_key, source.group_name) == (key("orders"), "lake", "sales")
