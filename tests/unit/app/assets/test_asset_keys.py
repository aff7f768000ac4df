"""AssetKey: what makes one, how it is written, and that its text form is read back as it was."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchord as dg
from orchord.errors import InvalidDefinitionError

PARTS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4)


def test_a_string_is_one_part_and_a_list_is_its_parts():
    assert dg.AssetKey("orders").path == ("orders",)
    assert dg.AssetKey(["shop", "orders"]).path == ("shop", "orders")
    assert dg.AssetKey("orders") == dg.AssetKey(["orders"])


@given(PARTS)
def test_the_user_string_is_read_back_to_the_same_key(parts):
    key = dg.AssetKey(parts)
    assert dg.AssetKey.from_user_string(key.to_user_string()) == key


@given(PARTS, PARTS)
def test_two_keys_with_one_user_string_are_equal(first, second):
    one, other = dg.AssetKey(first), dg.AssetKey(second)
    assert (one.to_user_string() == other.to_user_string()) == (one == other)
    assert one != other or hash(one) == hash(other)


def test_a_slash_within_a_part_is_told_from_one_between_parts():
    assert dg.AssetKey("a/b").to_user_string() == "a\\/b"
    assert dg.AssetKey(["a", "b"]).to_user_string() == "a/b"


def test_keys_survive_pickle_and_copy_and_cannot_be_changed():
    key = dg.AssetKey(["a", "b"])
    assert pickle.loads(pickle.dumps(key)) == key == copy.deepcopy(key)
    with pytest.raises(AttributeError, match="immutable"):
        key.path = ("c",)


def test_assets_specs_and_deps_stand_for_their_keys():
    @dg.asset
    def orders(): ...

    for value in (
        orders,
        dg.AssetSpec("orders"),
        dg.AssetDep("orders"),
        dg.SourceAsset("orders"),
        ["orders"],
        "orders",
    ):
        assert dg.AssetKey.from_coercible(value) == dg.AssetKey("orders")


def test_keys_sort_by_their_parts():
    assert sorted([dg.AssetKey(["b"]), dg.AssetKey(["a", "z"]), dg.AssetKey(["a"])])[0] == dg.AssetKey("a")


@pytest.mark.parametrize("path", ["", [], [""], [1], ["a", None]])
def test_an_empty_or_wrong_path_is_refused(path):
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.AssetKey(path)
    assert "An asset key is a non-empty string or a list of them" in str(caught.value)
    assert "Write AssetKey(['schema', 'table'])." in str(caught.value)


def test_what_stands_for_no_asset_is_refused():
    with pytest.raises(InvalidDefinitionError, match=r"3 does not stand for an asset\. Give an AssetKey"):
        dg.AssetKey.from_coercible(3)
