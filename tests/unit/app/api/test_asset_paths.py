"""Asset keys in URLs: parts with slashes, and a way to write keys that end like a sub-resource."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchord.api.values import asset_key_of_path, asset_path
from orchord.definitions.asset_key import AssetKey

PART = st.sampled_from(["a", "b", "materializations", "-", "x y", "ü", "c/d", "e\\"])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("a", "a"),
        ("a/b", "a/b"),
        ("a/materializations/-", "a/materializations"),
        ("a/-/-", "a/-"),
        ("-", "-"),
        ("a/-", "a"),
    ],
)
def test_a_path_names_one_key(path: str, key: str) -> None:
    assert asset_key_of_path(path) == key


@pytest.mark.parametrize("path", ["", "/", "a//b", "/a", "a/", "a\x00", "/-"])
def test_what_is_no_key_is_refused(path: str) -> None:
    assert asset_key_of_path(path) is None


@given(st.lists(PART, min_size=1, max_size=4))
def test_every_key_can_be_written_and_is_read_back(parts: list[str]) -> None:
    key = AssetKey(parts).to_user_string()
    assert asset_key_of_path(asset_path(key)) == key
    assert not asset_path(key).endswith("/materializations")
