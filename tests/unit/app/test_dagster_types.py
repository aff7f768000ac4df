"""Types of inputs and outputs: what annotations become, which values fit, and what is said of those that do not."""

# ruff: noqa: UP006, UP007, UP035, UP045 - users write annotations in the old spellings too.
from __future__ import annotations

import collections.abc
from typing import Annotated, Any, Dict, List, Literal, NewType, Optional, Protocol, Tuple, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchord.definitions import types
from orchord.definitions.types import (
    DagsterType,
    Nothing,
    PythonObjectDagsterType,
    TypeCheck,
    make_python_type_usable_as_dagster_type,
    resolve_type,
    usable_as_dagster_type,
)
from orchord.errors import InvalidDefinitionError, TypeCheckError


class Frame:
    pass


class Sized(Protocol):
    def size(self) -> int: ...


UserId = NewType("UserId", int)
T = TypeVar("T")


@pytest.mark.parametrize(
    ("annotation", "fits", "does_not_fit"),
    [
        (int, [1, -1], [True, "1", 1.0, None]),
        (float, [1.5, 2], [True, "x"]),
        (str, ["x"], [1, b"x"]),
        (bool, [True], [1, 0]),
        (Frame, [Frame()], [1, None]),
        (list, [[1, "a"]], [(1,), "x"]),
        (List[int], [[1, 2], []], [[1, "a"], (1,)]),
        (list[list[int]], [[[1]]], [[["a"]]]),
        (Dict[str, int], [{"a": 1}, {}], [{"a": "b"}, {1: 1}, []]),
        (dict, [{"a": 1}], [[]]),
        (set[int], [{1}], [[1], {"a"}]),
        (Tuple[int, str], [(1, "a")], [(1,), ("a", 1), [1, "a"]]),
        (tuple[int, ...], [(), (1, 2)], [("a",)]),
        (Optional[int], [1, None], ["x"]),
        (Union[int, str], [1, "a"], [1.5, None]),
        (int | None, [1, None], ["x"]),
        (Literal["a", 1], ["a", 1], ["b", True]),
        (Annotated[int, "meta"], [1], ["x"]),
        (UserId, [1], ["x"]),
        (collections.abc.Sequence[int], [[1], (1,)], [{1}, ["a"]]),
        (collections.abc.Mapping[str, int], [{"a": 1}], [{"a": "x"}]),
        (type[Frame], [Frame], [Frame()]),
        (dict[str, list[int] | None], [{"a": None, "b": [1]}], [{"a": ["x"]}]),
    ],
)
def test_values_are_checked_against_annotations(annotation: Any, fits: list[Any], does_not_fit: list[Any]) -> None:
    type_ = resolve_type(annotation)
    assert [type_.check(value) for value in fits] == [None] * len(fits)
    for value in does_not_fit:
        assert type_.check(value) is not None, value


@pytest.mark.parametrize("annotation", [Any, object, T, "NotImported", Sized, List[Any] | Any, None])
def test_what_cannot_be_checked_is_any(annotation: Any) -> None:
    type_ = resolve_type(annotation)
    assert type_.check(Frame()) is None
    assert type_ is types.Any or annotation is Sized


def test_a_result_annotated_as_none_is_nothing() -> None:
    assert resolve_type(type(None)) is Nothing
    assert Nothing.is_nothing
    assert Nothing.check(None) is None


def test_resolving_twice_gives_the_same_type_and_a_type_resolves_to_itself() -> None:
    assert resolve_type(List[int]) is resolve_type(List[int])
    assert resolve_type(Nothing) is Nothing
    assert resolve_type(int) is types.Int
    assert types.Any.is_any


def test_a_mistake_says_what_was_found_and_what_was_expected() -> None:
    assert types.Int.check("x") == "found 'x' (str), expected Int"
    assert resolve_type(Dict[str, int]).check([1]) == "found [1] (list), expected Dict[str, int]"
    mistake = types.Int.check("x" * 1000)
    assert mistake is not None
    assert len(mistake) < 150


def test_a_type_of_the_users_own_returns_a_bool_or_a_type_check() -> None:
    short = DagsterType(lambda context, value: len(value) < 3, "Short", description="a short text")
    assert short.check("ab") is None
    assert short.check("abc") == "found 'abc' (str), expected Short"
    explained = DagsterType(lambda value: TypeCheck(False, "too long", {"length": 3}), "Explained")
    assert explained.check("abc") == "too long"
    assert explained.type_check(None, "abc").metadata == {"length": 3}
    wrong = DagsterType(lambda value: "yes", "Wrong")
    with pytest.raises(TypeCheckError, match="type_check_fn of type 'Wrong' returned 'yes' \\(str\\). Return a bool"):
        wrong.check(1)
    with pytest.raises(InvalidDefinitionError, match="The type_check_fn of type 'X' is 3; give a function"):
        DagsterType(3, "X")  # type: ignore[arg-type]


def test_methods_and_callable_objects_check_types_with_and_without_a_context() -> None:
    class Checks:
        def with_context(self, context: Any, value: Any) -> bool:
            return bool(value == 1)

        def __call__(self, value: Any) -> bool:
            return bool(value == 2)

    assert DagsterType(Checks().with_context, "A").check(1) is None
    assert DagsterType(Checks(), "B").check(2) is None
    assert DagsterType(Checks(), "C").check(3) is not None


def test_python_classes_can_have_types_of_their_own() -> None:
    either = PythonObjectDagsterType((int, str))
    assert either.name == "int | str"
    assert either.check(1.5) == "found 1.5 (float), expected int | str"
    with pytest.raises(InvalidDefinitionError, match="python_type is 3; give a class, or a tuple of classes"):
        PythonObjectDagsterType(3)  # type: ignore[arg-type]

    @usable_as_dagster_type(name="Named", description="a class")
    class Mine:
        pass

    assert resolve_type(Mine).name == "Named"
    assert resolve_type(Mine).check(Mine()) is None

    class Other:
        pass

    accepts_all = DagsterType(lambda value: True, "AcceptsAll")
    make_python_type_usable_as_dagster_type(Other, accepts_all)
    assert resolve_type(Other) is accepts_all


def test_large_values_are_looked_at_and_not_walked_through() -> None:
    values: list[Any] = [1] * 100_000 + ["not seen"]
    assert resolve_type(list[int]).check(values) is None
    assert resolve_type(list[int]).check(["seen", *values]) is not None


@given(st.lists(st.integers()), st.dictionaries(st.text(), st.integers()), st.tuples(st.integers(), st.text()))
def test_values_of_a_type_always_fit_it(items: list[int], mapping: dict[str, int], pair: tuple[int, str]) -> None:
    assert resolve_type(list[int]).check(items) is None
    assert resolve_type(dict[str, int]).check(mapping) is None
    assert resolve_type(Tuple[int, str]).check(pair) is None
    assert resolve_type(Optional[Tuple[int, str]]).check(pair) is None
