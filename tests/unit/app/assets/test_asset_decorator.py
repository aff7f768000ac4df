"""@asset: which key, inputs, dependencies, labels and op a function becomes, and what is refused in which words."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError, InvalidInvocationError
from orchord.plan.compile import compile_plan


def refused(define) -> str:
    with pytest.raises(InvalidDefinitionError) as caught:
        define()
    return str(caught.value)


def keys(*names: str) -> set[dg.AssetKey]:
    return {dg.AssetKey.from_user_string(name) for name in names}


def test_without_parentheses_the_function_names_the_asset_and_its_inputs():
    @dg.asset
    def summed(evens, odds):
        """The sum."""

    assert summed.key == dg.AssetKey("summed")
    assert summed.op.name == "summed"
    assert summed.keys_by_input_name == {"evens": dg.AssetKey("evens"), "odds": dg.AssetKey("odds")}
    assert summed.dependency_keys == keys("evens", "odds")
    assert summed.get_asset_spec().description == "The sum."


def test_key_prefix_name_and_key_say_the_key():
    @dg.asset(key_prefix=["shop", "raw"], name="orders")
    def one(): ...

    @dg.asset(key=["shop", "items"])
    def two(): ...

    assert one.key == dg.AssetKey(["shop", "raw", "orders"])
    assert one.op.name == "shop__raw__orders"
    assert two.key == dg.AssetKey(["shop", "items"])


def test_asset_in_renames_prefixes_and_turns_loading_off():
    @dg.asset(
        ins={
            "left": dg.AssetIn("other"),
            "right": dg.AssetIn(key_prefix="shop"),
            "after": dg.AssetIn(dagster_type=dg.Nothing),
        }
    )
    def joined(left, right): ...

    assert joined.keys_by_input_name == {
        "left": dg.AssetKey("other"),
        "right": dg.AssetKey(["shop", "right"]),
        "after": dg.AssetKey("after"),
    }
    assert joined.op.ins["after"].is_nothing


def test_deps_take_keys_strings_definitions_specs_and_deps_and_load_nothing():
    @dg.asset
    def upstream(): ...

    @dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()})
    def split(): ...

    @dg.asset(
        deps=["plain", dg.AssetKey(["a", "key"]), upstream, split, dg.AssetSpec("spec"), dg.AssetDep("dep"), "dep"]
    )
    def report(): ...

    assert report.dependency_keys == keys("plain", "a/key", "upstream", "low", "high", "spec", "dep")
    assert all(declared.is_nothing for declared in report.op.ins.values())


def test_labels_are_kept_and_kinds_become_tags():
    @dg.asset(
        group_name="sales",
        kinds={"python", "duckdb"},
        owners=["ada@example.com", "team:data"],
        tags={"tier": "gold"},
        metadata={"rows": 3},
        code_version="2",
        description="Orders.",
    )
    def orders(): ...

    spec = orders.get_asset_spec()
    assert spec.group_name == "sales"
    assert spec.kinds == {"python", "duckdb"}
    assert spec.tags == {"tier": "gold", "dagster/kind/duckdb": "", "dagster/kind/python": ""}
    assert spec.owners == ("ada@example.com", "team:data")
    assert (spec.metadata, spec.code_version, spec.description) == ({"rows": 3}, "2", "Orders.")


def test_the_op_carries_retry_policy_pool_tags_and_required_resources():
    policy = dg.RetryPolicy(max_retries=2)

    @dg.asset(
        retry_policy=policy,
        op_tags={"orchord/priority": "3"},
        pool="warehouse",
        required_resource_keys={"db"},
        code_version="7",
    )
    def orders(): ...

    assert orders.op.retry_policy is policy
    assert orders.op.tags["orchord/priority"] == "3"
    assert orders.op.pool == "warehouse"
    assert orders.op.required_resource_keys == {"db"}
    assert orders.op.code_version == "7"


def test_config_and_resource_parameters_are_no_inputs():
    class Settings(dg.Config):
        limit: int = 3

    class Database(dg.ConfigurableResource):
        url: str

    @dg.asset
    def orders(context, config: Settings, database: Database, upstream): ...

    assert orders.dependency_keys == keys("upstream")
    assert orders.op.config_cls is Settings
    assert orders.op.required_resource_keys == {"database"}


def test_an_io_manager_is_named_or_given():
    @dg.asset(io_manager_key="lake")
    def named(): ...

    @dg.asset(io_manager_def=dg.InMemoryIOManager())
    def given(): ...

    assert named.io_manager_key_of(named.key) == "lake"
    assert given.io_manager_key_of(given.key) == "given__io_manager"
    assert set(given.resource_defs) == {"given__io_manager"}


def test_return_annotations_say_what_is_stored():
    @dg.asset
    def nothing() -> None: ...

    @dg.asset
    def result() -> dg.MaterializeResult: ...

    @dg.asset
    def typed() -> dg.MaterializeResult[int]: ...

    assert nothing.op.outs["result"].is_nothing
    assert result.op.outs["result"].dagster_type.name == "Any"
    assert typed.op.outs["result"].dagster_type.name == "Int"


def test_an_optional_output_is_not_required():
    @dg.asset(output_required=False)
    def maybe(): ...

    assert not maybe.op.outs["result"].is_required
    assert maybe.get_asset_spec().skippable


def test_an_asset_is_called_as_a_function():
    @dg.asset
    def doubled(number):
        return number * 2

    assert doubled(4) == 8


def test_every_mistake_of_one_asset_is_told_at_once_with_its_place():
    def define():
        @dg.asset(
            key=["shop", "orders"],
            key_prefix="shop",
            group_name="not a group",
            kinds={f"kind{number}" for number in range(11)},
            owners=["nobody"],
            tags={"tier": 3},
        )
        def orders(config: int, *rest): ...

    text = refused(define)
    assert text.startswith("Asset 'shop/orders' (assets/test_asset_decorator.py:")
    for sentence in (
        "it has key= beside name= or key_prefix=: give the one or the other",
        "it has group_name='not a group'; a group's name has only letters, digits, '_' and '/'.",
        "it has 11 kinds; at most 10 are allowed.",
        "it has the owner 'nobody'; an owner is an e-mail address or 'team:<name>'.",
        "it has the tag 'tier' with the value 3; a value is a string",
        "its parameter '*rest' cannot be given by name",
    ):
        assert sentence in text
    assert "cannot be right (" in text


def test_an_asset_cannot_depend_on_itself():
    def define():
        @dg.asset
        def orders(orders): ...

    assert "'orders' depends on itself: rename the parameter, or give it another asset" in refused(define)


def test_what_is_loaded_is_not_listed_in_deps_too():
    def define():
        @dg.asset(deps=["raw"])
        def orders(raw): ...

    assert "deps= lists 'raw', which the parameter 'raw' loads already: keep one of them" in refused(define)


def test_ins_names_a_parameter_or_the_nearest_is_told():
    def define():
        @dg.asset(ins={"upstraem": dg.AssetIn("raw")})
        def orders(upstream): ...

    text = refused(define)
    assert "ins= names 'upstraem', which is no parameter of the function. Did you mean 'upstream'?" in text


def test_a_slash_in_a_key_is_refused_with_the_list_to_write():
    def define():
        @dg.asset(key="shop/orders")
        def orders(): ...

    assert "the part 'shop/orders' of its key has a '/': give the parts as a list, ['shop', 'orders']" in refused(
        define
    )


def test_both_ways_to_give_an_io_manager_are_refused():
    def define():
        @dg.asset(io_manager_key="lake", io_manager_def=dg.InMemoryIOManager())
        def orders(): ...

    assert "it has both io_manager_key= and io_manager_def=: give one of them" in refused(define)


def test_deps_must_be_a_list():
    def define():
        @dg.asset(deps="raw")
        def orders(): ...

    assert "It has deps='raw'; give a list, such as deps=['raw']." in refused(define)


def test_ins_hold_asset_ins():
    def define():
        @dg.asset(ins={"raw": "other"})
        def orders(raw): ...

    assert "ins= has 'other' for 'raw': give an AssetIn, such as AssetIn(key='raw')" in refused(define)


def test_asset_in_has_key_or_prefix():
    assert "AssetIn has both key and key_prefix" in refused(lambda: dg.AssetIn("a", key_prefix="b"))


def test_the_decorator_takes_options_by_name():
    assert "@asset decorates 'orders', which is no function." in refused(lambda: dg.asset("orders"))


def test_mistakes_of_the_op_are_listed_without_a_second_headline():
    def define():
        @dg.asset(op_tags={3: "x"})
        def orders(): ...

    text = refused(define)
    assert text.count("cannot be right") == 1 or "Tags of op" in text


def test_a_definition_of_several_assets_has_no_single_key():
    @dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()})
    def split(): ...

    with pytest.raises(InvalidInvocationError, match=r"'split' makes 2 assets \(low, high\), so it has no single key"):
        _ = split.key


def test_assets_of_one_group_find_each_other_by_the_last_part_of_the_key():
    @dg.asset(key_prefix="shop")
    def orders(): ...

    @dg.asset
    def report(orders): ...

    job = dg.Definitions(assets=[orders, report]).get_implicit_global_asset_job_def()
    step = compile_plan(job).step("report")
    assert step.inputs[0].asset_key == "shop/orders"
    assert step.inputs[0].sources[0].step_key == "shop__orders"
