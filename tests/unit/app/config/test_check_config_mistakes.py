"""What check_config says of each mistake, that it says all of them, and that it stays quick."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchord.definitions.config import Field, Noneable, Permissive, Selector, check_config, to_config_type
from orchord.definitions.config.schema import Array, Enum, EnumValue, Map, ScalarUnion, StringSource
from orchord.definitions.config.types import ConfigField, ScalarType, ShapeType

SCHEMA = {
    "limit": int,
    "name": str,
    "rate": Field(float, default_value=0.5),
    "mode": Field(Enum("Mode", [EnumValue("fast"), EnumValue("slow")]), default_value="fast"),
    "source": Field(Selector({"file": {"path": str}, "table": str}), is_required=False),
    "tags": Field([str], default_value=[]),
}


def mistakes(schema: Any, value: Any, path: str = "ops.read.config") -> list[str]:
    return check_config(to_config_type(schema), value, path).mistakes


def test_every_mistake_is_reported_at_once_with_path_value_type_and_nearest_name() -> None:
    value = {
        "limt": 3,
        "name": 7,
        "rate": "quick",
        "mode": "fasst",
        "source": {"file": {"pth": "x"}, "table": "y"},
        "tags": ["a", 2, None],
    }
    assert mistakes(SCHEMA, value) == [
        "ops.read.config.limt: unknown key. Did you mean 'limit'?",
        "ops.read.config.name: found 7 (Int), expected String.",
        "ops.read.config.rate: found 'quick' (String), expected Float.",
        "ops.read.config.mode: found 'fasst' (String), expected one of 'fast', 'slow'. Did you mean 'fast'?",
        "ops.read.config.source: found 'file', 'table', expected a dict with exactly one of 'file', 'table'.",
        "ops.read.config.source.file.pth: unknown key. Did you mean 'path'?",
        "ops.read.config.source.file.path: missing, expected String.",
        "ops.read.config.tags[1]: found 2 (Int), expected String.",
        "ops.read.config.tags[2]: found None, expected String.",
        "ops.read.config.limit: missing, expected Int.",
    ]


def test_the_resolved_value_has_defaults_and_leaves_out_what_has_none() -> None:
    result = check_config(to_config_type(SCHEMA), {"limit": 3, "name": "x"})
    assert result.success
    assert result.value == {"limit": 3, "name": "x", "rate": 0.5, "mode": "fast", "tags": []}


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        (int, True, "found True (Bool), expected Int."),
        (int, 2.5, "found 2.5 (Float), expected Int."),
        (int, "2", "found '2' (String), expected Int."),
        (bool, 1, "found 1 (Int), expected Bool."),
        (float, float("nan"), "found nan (Float), expected Float."),
        (float, 10**400, "found 1000"),
        (Noneable(int), "x", "found 'x' (String), expected Int or None."),
        (Array(int), 3, "found 3 (Int), expected a list of Int."),
        (Map(str, int), [], "found [] (a list), expected a dict of String to Int."),
        ({"a": int}, None, "found None, expected a dict with 'a'."),
        ({"a": int}, [1], "found [1] (a list), expected a dict with 'a'."),
        (Selector({"a": int, "b": int}), {}, "found none, expected a dict with exactly one of 'a', 'b'."),
        (Selector({"alpha": int}), {"alpa": 1}, ".alpa: unknown key. Did you mean 'alpha'?"),
        (ScalarUnion(int, {"a": int}), "x", "found 'x' (String), expected Int or a dict with 'a'."),
        (StringSource, {"enf": "X"}, "found {'enf': 'X'} (a dict), expected String, or {\"env\": NAME}."),
        ({}, {"a": 1}, ".a: unknown key. No keys are known here."),
    ],
)
def test_one_mistake_has_this_text(schema: Any, value: Any, text: str) -> None:
    (mistake,) = mistakes(schema, value, "x")
    assert text in mistake


def test_what_is_missing_is_named_down_to_the_last_key() -> None:
    schema = {"resources": {"db": {"config": {"host": str, "port": Field(int, default_value=1)}}}, "n": int}
    assert mistakes(schema, {}, "") == [
        "resources.db.config.host: missing, expected String.",
        "n: missing, expected Int.",
    ]


def test_a_mistake_without_a_path_still_says_what_is_wrong() -> None:
    assert mistakes(int, "x", "") == ["config: found 'x' (String), expected Int."]


def test_a_union_reports_the_mistakes_of_the_option_that_is_of_the_values_kind() -> None:
    assert mistakes(ScalarUnion(int, {"a": int}), {"a": "x"}, "x") == ["x.a: found 'x' (String), expected Int."]


def test_a_long_value_is_shortened() -> None:
    (mistake,) = mistakes(int, "x" * 10_000)
    assert len(mistake) < 200
    (mistake,) = mistakes({"a": int}, list(range(10_000)))
    assert len(mistake) < 200


def test_a_secret_value_is_in_no_mistake() -> None:
    schema = {"login": Field({"password": Field(int, is_secret=True)}), "key": Field([int], is_secret=True)}
    found = mistakes(schema, {"login": {"password": "hunter2"}, "key": ["hunter3", {"hunter4": 1}]})
    assert found[0] == "ops.read.config.login.password: found a hidden value, expected Int."
    assert "hunter" not in "".join(found)


@pytest.mark.parametrize(
    ("constraints", "value", "expected"),
    [
        ({"ge": 1}, 0, "Int >= 1"),
        ({"gt": 1, "lt": 3}, 3, "Int > 1 < 3"),
        ({"le": 5}, 6, "Int <= 5"),
        ({"multiple_of": 5}, 6, "Int in steps of 5"),
    ],
)
def test_constraints_of_numbers_are_checked_without_user_code(
    constraints: dict[str, Any], value: int, expected: str
) -> None:
    assert check_config(ScalarType("Int", constraints), value, "n").mistakes == [
        f"n: found {value} (Int), expected {expected}."
    ]


@pytest.mark.parametrize(
    ("constraints", "value", "expected"),
    [
        ({"min_length": 2}, "a", "String of at least 2 characters"),
        ({"max_length": 2}, "abc", "String of at most 2 characters"),
        ({"pattern": "^a"}, "b", "String matching '^a'"),
    ],
)
def test_constraints_of_strings_are_checked_without_user_code(
    constraints: dict[str, Any], value: str, expected: str
) -> None:
    assert check_config(ScalarType("String", constraints), value, "s").mistakes == [
        f"s: found {value!r} (String), expected {expected}."
    ]


def test_permissive_shapes_check_what_they_know_and_pass_the_rest() -> None:
    schema = Permissive({"a": int})
    assert mistakes(schema, {"a": "x", "other": object}, "p") == ["p.a: found 'x' (String), expected Int."]
    assert check_config(schema.config_type, {"a": 1, "b": [2]}).value == {"a": 1, "b": [2]}


def test_numbers_as_keys_of_a_map_may_be_written_as_json_writes_them() -> None:
    assert check_config(to_config_type({int: str}), {"1": "a", 2: "b"}).value == {1: "a", 2: "b"}
    assert mistakes({int: str}, {"one": "a"}, "m") == ["m.one: found 'one' (String), expected Int."]


def test_the_given_value_is_not_changed() -> None:
    value: dict[str, Any] = {"limit": 1, "name": "x", "tags": ["a"]}
    result = check_config(to_config_type(SCHEMA), value)
    result.value["tags"].append("b")
    assert value == {"limit": 1, "name": "x", "tags": ["a"]}


def test_thousands_of_right_keys_and_thousands_of_wrong_keys_are_checked_quickly() -> None:
    names = [f"op_number_{number}" for number in range(5000)]
    type_ = ShapeType("", {name: ConfigField(ScalarType("Int", {"ge": 0})) for name in names})
    start = time.process_time()
    assert check_config(type_, dict.fromkeys(names, 1)).success
    wrong = check_config(type_, {f"{name}_x": "no" for name in names}).mistakes
    assert len(wrong) == 10_000
    assert time.process_time() - start < 3.0


def test_a_default_that_is_changed_by_its_user_stays_what_it_is() -> None:
    type_ = to_config_type({"tags": Field([str], default_value=[]), "more": Field(dict, default_value={"a": [1]})})
    first = check_config(type_, {}).value
    first["tags"].append("x")
    first["more"]["a"].append(2)
    assert check_config(type_, {}).value == {"tags": [], "more": {"a": [1]}}
