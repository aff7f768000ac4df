"""AssetSelection: every factory, method and operator over one small graph, and what is said of unknown keys."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import InvalidSubsetError

# external -> raw -> clean -> report, raw -> clean2 -> report; low and high are made together; loose stands alone.


@dg.asset(group_name="in", deps=["external"], kinds={"python"}, owners=["team:data"], tags={"tier": "gold"})
def raw(): ...


@dg.asset(group_name="mid", kinds={"python", "sql"}, owners=["ada@example.com"])
def clean(raw): ...


@dg.asset(group_name="mid", key_prefix="second", tags={"tier": "silver"})
def clean2(raw): ...


@dg.asset(group_name="out", ins={"clean2": dg.AssetIn(["second", "clean2"])})
def report(clean, clean2): ...


@dg.multi_asset(outs={"low": dg.AssetOut(), "high": dg.AssetOut()}, group_name="out")
def parts(report): ...


@dg.asset
def loose(): ...


ALL = [raw, clean, clean2, report, parts, loose, dg.AssetSpec("external", group_name="in", owners=["team:data"])]
S = dg.AssetSelection


def names(selection: dg.AssetSelection) -> set[str]:
    return {key.to_user_string() for key in selection.resolve(ALL)}


EVERYTHING_MADE = {"raw", "clean", "second/clean2", "report", "low", "high", "loose"}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (S.all(), EVERYTHING_MADE),
        (S.all(include_sources=True), EVERYTHING_MADE | {"external"}),
        (S.empty(), set()),
        (S.assets("raw", clean, dg.AssetKey("report")), {"raw", "clean", "report"}),
        (S.assets(parts), {"low", "high"}),
        (S.assets(["second", "clean2"]), {"second/clean2"}),
        (S.keys("raw"), {"raw"}),
        (S.key_prefixes("second"), {"second/clean2"}),
        (S.key_prefixes(["second", "clean2"], "low"), {"second/clean2", "low"}),
        (S.key_substring("clean"), {"clean", "second/clean2"}),
        (S.key_substring("d/c"), {"second/clean2"}),
        (S.key_wildcard("*o*"), {"report", "low", "loose", "second/clean2"}),
        (S.groups("in"), {"raw"}),
        (S.groups("in", include_sources=True), {"raw", "external"}),
        (S.groups("mid", "out"), {"clean", "second/clean2", "report", "low", "high"}),
        (S.groups("nowhere"), set()),
        (S.tag("tier", "gold"), {"raw"}),
        (S.tag_string("tier=silver"), {"second/clean2"}),
        (S.tag_string("tier"), set()),
        (S.kind("python"), {"raw", "clean"}),
        (S.kind(None), EVERYTHING_MADE - {"raw", "clean"}),
        (S.owner("team:data"), {"raw", "external"}),
        (S.owner(None), EVERYTHING_MADE - {"raw", "clean"}),
        (S.assets("report").upstream(), {"report", "clean", "second/clean2", "raw"}),
        (S.assets("report").upstream(depth=1), {"report", "clean", "second/clean2"}),
        (S.assets("report").upstream(depth=0), {"report"}),
        (S.assets("report").upstream(include_self=False), {"clean", "second/clean2", "raw"}),
        (S.assets("raw").downstream(), {"raw", "clean", "second/clean2", "report", "low", "high"}),
        (S.assets("raw").downstream(1), {"raw", "clean", "second/clean2"}),
        (S.assets("raw").downstream(1, include_self=False), {"clean", "second/clean2"}),
        (S.all().roots(), {"raw", "loose"}),
        (S.groups("mid", "out").roots(), {"clean", "second/clean2"}),
        (S.groups("mid", "out").sources(), {"clean", "second/clean2"}),
        (S.all().sinks(), {"low", "high", "loose"}),
        (S.groups("in", "mid").sinks(), {"clean", "second/clean2"}),
        (S.assets("external", "raw").materializable(), {"raw"}),
        (S.assets("raw", "clean").upstream_source_assets(), {"external"}),
        (S.assets("low").required_multi_asset_neighbors(), {"low", "high"}),
        (S.assets("raw").without_checks(), {"raw"}),
        (S.groups("in") | S.groups("mid"), {"raw", "clean", "second/clean2"}),
        (S.kind("python") & S.groups("mid"), {"clean"}),
        (S.all() - S.groups("out"), {"raw", "clean", "second/clean2", "loose"}),
        (S.groups("in") | "loose", {"raw", "loose"}),
        (S.from_coercible(["raw", dg.AssetKey("clean"), report]), {"raw", "clean", "report"}),
        (S.from_coercible("group:in"), {"raw"}),
        (S.from_coercible(["group:in", "report+"]), {"raw", "report", "low", "high"}),
        (S.from_coercible(raw), {"raw"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dg.AssetSelection) else "",
)
def test_selects(selection, expected):
    assert names(selection) == expected


@pytest.mark.parametrize(
    "selection",
    [
        S.all(),
        S.assets("raw", "clean"),
        S.groups("in", "mid"),
        S.tag("tier", "gold"),
        S.kind("python"),
        S.owner("team:data"),
        S.assets("report").upstream(2),
        S.groups("mid").downstream(),
        S.assets("raw").downstream().upstream(1),
        S.all().sinks() | S.all().roots(),
        (S.groups("in") | S.groups("mid")) & S.kind("sql"),
        S.all() - S.groups("out"),
        S.groups("mid") - S.kind("sql"),
        S.key_prefixes("second"),
        S.key_substring("clean"),
        S.assets("report").upstream(include_self=False),
    ],
    ids=str,
)
def test_the_text_of_a_selection_selects_the_same(selection):
    assert names(S.from_string(str(selection))) == names(selection)


def test_unknown_keys_are_all_told_with_the_nearest():
    with pytest.raises(InvalidSubsetError) as caught:
        S.assets("rwa", "report", "raport").resolve(ALL)
    assert caught.value.mistakes == (
        "no asset has the key 'rwa'. Did you mean 'raw'?",
        "no asset has the key 'raport'. Did you mean 'report'?",
    )


def test_unknown_keys_can_be_left_out():
    assert {str(key) for key in S.assets("raw", "gone").resolve(ALL, allow_missing=True)} == {"raw"}


def test_a_selection_to_make_leaves_external_assets_out_and_must_not_be_empty():
    graph = dg.Definitions(assets=ALL).get_asset_graph()
    assert {str(key) for key in S.assets("raw", "external").resolve_to_make(graph)} == {"raw"}
    with pytest.raises(InvalidSubsetError) as caught:
        S.groups("inn").resolve_to_make(graph)
    assert (
        "'group:\"inn\"' selects no asset that can be made: no asset is in the group 'inn'. Did you mean 'in'?"
        in str(caught.value)
    )
    with pytest.raises(InvalidSubsetError, match="'key:\"external\"' selects no asset that can be made"):
        S.assets("external").resolve_to_make(graph)


def test_selections_are_values():
    assert S.groups("a") | S.assets("b") == S.groups("a") | S.assets("b")
    assert len({S.all(), S.all(), S.groups("a")}) == 2
