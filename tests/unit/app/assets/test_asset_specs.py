"""AssetSpec, AssetDep, SourceAsset and the results that user code returns: values, validation, copies."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.definitions.assets.results import DataVersion
from orchord.errors import InvalidDefinitionError


def test_a_spec_holds_what_it_was_given():
    spec = dg.AssetSpec("orders", deps=["raw"], kinds={"s3"}, tags={"tier": "gold"}, owners=["team:data"])
    assert spec.key == dg.AssetKey("orders")
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey("raw")]
    assert spec.tags == {"tier": "gold", "dagster/kind/s3": ""}
    assert spec.kinds == {"s3"}
    assert spec.group == "default"


def test_replace_attributes_replaces_and_validates():
    spec = dg.AssetSpec("orders", kinds={"s3"}, tags={"tier": "gold"}, group_name="sales")
    changed = spec.replace_attributes(tags={"tier": "silver"}, deps=["raw"], key="shop")
    assert changed.key == dg.AssetKey("shop")
    assert changed.tags == {"tier": "silver", "dagster/kind/s3": ""}
    assert changed.group_name == "sales"
    with pytest.raises(InvalidDefinitionError, match=r"AssetSpec has no attribute 'colour'\. Known: key, deps"):
        spec.replace_attributes(colour="red")


def test_merge_attributes_adds():
    spec = dg.AssetSpec("orders", kinds={"s3"}, tags={"tier": "gold"}, owners=["team:data"], metadata={"rows": 1})
    merged = spec.merge_attributes(
        deps=["raw"], kinds={"csv"}, tags={"area": "x"}, owners=["team:data", "a@b.io"], metadata={"rows": 2}
    )
    assert merged.kinds == {"s3", "csv"}
    assert merged.plain_tags == {"tier": "gold", "area": "x"}
    assert merged.owners == ("team:data", "a@b.io")
    assert merged.metadata == {"rows": 2}


def test_all_that_is_wrong_with_a_spec_is_told_at_once():
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.AssetSpec("orders", owners="team:data", kinds="python", group_name="a b", tags={"": "x"})
    text = str(caught.value)
    assert text.startswith("Asset orders cannot be right (4 mistakes):")
    assert "owners='team:data'; give a list, such as owners=['team:data']." in text
    assert "kinds='python'; give a set, such as kinds={'python'}." in text
    assert "the tag key ''; a key has at most 63 letters" in text


def test_deps_that_stand_for_nothing_are_told():
    with pytest.raises(InvalidDefinitionError, match="Asset orders cannot be right: 3 does not stand for an asset"):
        dg.AssetSpec("orders", deps=[3])


def test_a_source_asset_brings_its_io_manager():
    manager = dg.InMemoryIOManager()
    source = dg.SourceAsset("raw", io_manager_def=manager, group_name="sales")
    assert source.io_manager_key == "raw__io_manager"
    assert set(source.resource_defs) == {"raw__io_manager"}
    with pytest.raises(InvalidDefinitionError, match="SourceAsset raw has both io_manager_key and io_manager_def"):
        dg.SourceAsset("raw", io_manager_key="lake", io_manager_def=manager)


def test_metadata_of_a_spec_names_the_io_manager_that_loads_it():
    source = dg.SourceAsset.from_spec(dg.AssetSpec("raw", metadata={"dagster/io_manager_key": "lake"}))
    assert source.io_manager_key == "lake"


def test_a_result_tells_a_missing_value_from_none():
    assert not dg.MaterializeResult().has_value
    assert dg.MaterializeResult(value=None).has_value


def test_results_normalize_the_key_and_keep_metadata_as_given():
    result = dg.MaterializeResult("orders", metadata={"rows": 3}, data_version=DataVersion("v1"), tags={"a": "b"})
    assert result.asset_key == dg.AssetKey("orders")
    assert result.metadata == {"rows": 3}
    assert result.data_version == DataVersion("v1")
    assert result == dg.MaterializeResult(
        ["orders"], metadata={"rows": 3}, data_version=DataVersion("v1"), tags={"a": "b"}
    )
    assert "rows" in repr(result)


def test_events_of_assets_say_which_asset():
    event = dg.AssetMaterialization(["shop", "orders"], description="done", metadata={"rows": 1}, partition="2024")
    assert (event.label, event.partition, event.description) == ("shop/orders", "2024", "done")
    assert event.metadata == {"rows": dg.MetadataValue.int(1)}
    assert dg.AssetObservation("orders").label == "orders"


def test_tags_of_results_are_strings():
    with pytest.raises(
        InvalidDefinitionError, match=r"Tags are not valid: MaterializeResult\(tags=\.\.\.\) has the tag 'n'"
    ):
        dg.MaterializeResult(tags={"n": 1})


def test_one_change_is_made_to_many_assets_and_specs():
    @dg.asset(tags={"tier": "1"}, metadata={"m": 1})
    def table(): ...

    def owned(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.merge_attributes(owners=["team:data"])

    made, outside = dg.map_asset_specs(owned, [table, dg.AssetSpec("outside")])
    assert made.get_asset_spec().owners == ("team:data",) == outside.owners
    assert made.tags_by_key == {dg.AssetKey("table"): {"tier": "1"}}
    assert made.metadata_by_key == {dg.AssetKey("table"): {"m": 1}}
    assert table.get_asset_spec().owners == ()
