"""AssetGraph: edges both ways, order, reach and cycles; the same graph from definitions and from a snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchord as dg
from orchord.definitions.assets.graph import AssetNode
from orchord.snapshot import decode_location, encode, snapshot_of


def key(number: int) -> dg.AssetKey:
    return dg.AssetKey(f"a{number}")


@st.composite
def acyclic(draw) -> dg.AssetGraph:
    size = draw(st.integers(1, 12))
    nodes = []
    for number in range(size):
        parents = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        nodes.append(AssetNode(key(number), tuple(key(parent) for parent in sorted(parents))))
    return dg.AssetGraph(draw(st.permutations(nodes)))


@given(acyclic())
def test_order_puts_every_asset_after_its_parents(graph):
    order = graph.toposorted()
    assert set(order) == graph.keys
    for asset in order:
        assert all(order.index(parent) < order.index(asset) for parent in graph.parents(asset))
    assert graph.cycle() == []


@given(acyclic())
def test_upstream_and_downstream_are_each_others_mirror(graph):
    for asset in graph.keys:
        for other in graph.upstream([asset]):
            assert asset in graph.downstream([other])


@given(acyclic(), st.data())
def test_a_back_edge_is_found_as_a_cycle_of_real_edges(graph, data):
    start = data.draw(st.sampled_from(sorted(graph.keys)))
    end = data.draw(st.sampled_from(sorted(graph.downstream([start]))))
    nodes = [AssetNode(node.key, (*node.parents, end)) if node.key == start else node for node in graph.nodes.values()]
    cyclic = dg.AssetGraph(nodes)
    ring = cyclic.cycle()
    assert ring[0] == ring[-1]
    for parent, child in zip(ring, ring[1:], strict=False):
        assert parent in cyclic.get(child).parents


def test_a_parent_that_nobody_describes_is_an_external_asset():
    graph = dg.AssetGraph([AssetNode(key(1), (key(0),))])
    assert graph.external_keys == {key(0)}
    assert graph.materializable_keys == {key(1)}
    assert graph.get(key(0)).is_external


def test_depth_limits_reach():
    graph = dg.AssetGraph([AssetNode(key(n), (key(n - 1),) if n else ()) for n in range(5)])
    assert graph.upstream([key(4)], 2) == {key(4), key(3), key(2)}
    assert graph.downstream([key(0)], 1) == {key(0), key(1)}


@pytest.mark.parametrize(
    "selection", ["*", "group:g", "sinks(*)", "tag:t=1", "kind:k", "owner:team:x", "+b", "key:c/d+"]
)
def test_a_selection_means_the_same_over_definitions_and_over_their_snapshot(selection):
    @dg.asset(group_name="g", tags={"t": "1"})
    def a(): ...

    @dg.asset(kinds={"k"}, owners=["team:x"])
    def b(a): ...

    @dg.asset(key=["c", "d"], deps=["outside"], group_name="g")
    def c(b): ...

    defs = dg.Definitions(assets=[a, b, c])
    snapshot = decode_location(encode(snapshot_of(defs.resolve(), "here")))
    chosen = dg.AssetSelection.from_string(selection)
    assert chosen.resolve(dg.AssetGraph.from_snapshot(snapshot)) == chosen.resolve(defs.get_asset_graph())
