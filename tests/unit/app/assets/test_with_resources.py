"""``with_resources``, assets that bring resources of their own, and files beside the code."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError


@dg.asset(required_resource_keys={"db"})
def table(context):
    return context.resources.db


@dg.asset
def plain():
    return 1


class Keeps(dg.IOManager):
    def __init__(self):
        self.kept = {}

    def handle_output(self, context, obj):
        self.kept[context.asset_key] = obj

    def load_input(self, context):
        return self.kept[context.asset_key]


def test_assets_bring_what_they_need_and_no_more():
    bound = dg.with_resources([table, plain], {"db": "bound", "other": 5})
    assert [set(item.resource_defs) for item in bound] == [{"db"}, set()]
    assert table.resource_defs == {}
    assert dg.materialize(bound).asset_value("table") == "bound"
    defs = dg.Definitions(assets=bound)
    assert defs.get_implicit_global_asset_job_def().execute_in_process().asset_value("table") == "bound"


def test_what_a_resource_needs_comes_too():
    @dg.resource(required_resource_keys={"address"})
    def db(context):
        return f"at {context.resources.address}"

    (bound,) = dg.with_resources([table], {"db": db, "address": "home", "other": 5})
    assert set(bound.resource_defs) == {"db", "address"}
    assert dg.materialize([bound]).asset_value("table") == "at home"


def test_resources_are_given_their_config():
    string = dg.ResourceDefinition.string_resource()
    bound = dg.with_resources([table], {"db": string}, {"db": {"config": "configured"}})
    assert dg.materialize(bound).asset_value("table") == "configured"


def test_io_managers_come_for_assets_and_source_assets():
    keeper = Keeps()
    keeper.kept[dg.AssetKey("raw")] = 4

    @dg.asset
    def doubled(raw):
        return raw * 2

    bound = dg.with_resources([doubled, dg.SourceAsset("raw")], {"io_manager": keeper})
    assert dg.materialize(bound).success
    assert keeper.kept[dg.AssetKey("doubled")] == 8


def test_every_mistake_is_named():
    own = table.with_resources({"db": "own"})
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.with_resources([table, own, 5], {"bd": 1}, {"b": {"config": 1}, "bd": {"cfg": 1}})
    text = str(caught.value)
    assert "there is config for the resource 'b', which is not given. Did you mean 'bd'?" in text
    assert "the config of the resource 'bd' is {'cfg': 1}: give {\"config\": ...}" in text
    assert "<AssetsDefinition table> needs the resource 'db', which is not given. Known: bd." in text
    assert "5 is no asset" in text
    with pytest.raises(InvalidDefinitionError, match="table> brings another resource 'db' already: give one of them"):
        dg.with_resources([own], {"db": "new"})


def test_an_asset_never_gets_another_assets_resource_in_place_of_the_locations():
    @dg.asset(resource_defs={"db": dg.ResourceDefinition.hardcoded_resource("own")}, required_resource_keys={"db"})
    def owner(context):
        return context.resources.db

    with pytest.raises(InvalidDefinitionError) as caught:
        dg.Definitions(assets=[owner, table], resources={"db": "shared"}).resolve()
    assert "asset table uses the resource 'db' of the location, and another asset brings its own under that key" in str(
        caught.value
    )
    made = dg.Definitions(assets=[owner, plain], resources={"db": "shared"}).get_implicit_global_asset_job_def()
    assert made.execute_in_process().asset_value("owner") == "own"
    with pytest.raises(InvalidDefinitionError, match="asset plain uses the resource 'io_manager' of the location"):
        dg.Definitions(assets=[*dg.with_resources([owner], {"io_manager": Keeps()}), plain]).resolve()


def test_files_are_found_beside_the_code():
    assert dg.file_relative_path(__file__, "data/a.csv") == str(Path(__file__).parent / "data/a.csv")
