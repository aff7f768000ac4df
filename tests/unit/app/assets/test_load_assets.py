"""load_assets_from_* and load_definitions_from_*: what is found in modules and packages, and how it is changed."""

from __future__ import annotations

import sys
import types

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``shopcode`` with two modules of assets; the second reads the first."""
    root = tmp_path / "shopcode"
    (root / "sub").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "raw.py").write_text(
        "import orchord as dg\n"
        "@dg.asset\ndef orders(): return 1\n"
        "many = [dg.AssetSpec('outside'), dg.SourceAsset('source')]\n"
    )
    (root / "sub" / "__init__.py").write_text("")
    (root / "sub" / "reports.py").write_text(
        "import orchord as dg\n"
        "from shopcode.raw import orders\n"
        "@dg.asset(deps=['outside'])\ndef report(orders): return orders\n"
        "job = dg.define_asset_job('report_job', [report])\n"
        "@dg.schedule(cron_schedule='0 0 * * *', job=job)\ndef nightly(): return {}\n"
        "@dg.sensor(job=job)\ndef watcher(): return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "shopcode"
    for name in [name for name in sys.modules if name.partition(".")[0] == "shopcode"]:
        del sys.modules[name]


def keys(assets) -> list[str]:
    found = []
    for asset in assets:
        found += [str(key) for key in (asset.keys if isinstance(asset, dg.AssetsDefinition) else [asset.key])]
    return found


def test_a_package_is_walked_and_each_object_found_once(package):
    assert keys(dg.load_assets_from_package_name(package, include_specs=True)) == [
        "orders",
        "outside",
        "source",
        "report",
    ]


def test_specs_are_taken_when_asked_for(package):
    assert keys(dg.load_assets_from_package_name(package)) == ["orders", "source", "report"]


def test_a_package_module_is_the_same(package):
    module = __import__(package)
    assert keys(dg.load_assets_from_package_module(module, include_specs=True)) == [
        "orders",
        "outside",
        "source",
        "report",
    ]


def test_a_key_prefix_changes_own_assets_wherever_they_are_named(package):
    assets = dg.load_assets_from_package_name(
        package, key_prefix=["shop", "x"], source_key_prefix="ext", include_specs=True
    )
    assert keys(assets) == ["shop/x/orders", "ext/outside", "ext/source", "shop/x/report"]
    report = assets[-1]
    assert {str(key) for key in report.dependency_keys} == {"shop/x/orders", "ext/outside"}
    job = dg.Definitions(assets=assets).get_implicit_global_asset_job_def()
    assert set(job.wiring.ops) == {"orders", "report"}


def test_a_group_is_given_to_all(package):
    assets = dg.load_assets_from_package_name(package, group_name="shop", include_specs=True)
    graph = dg.Definitions(assets=assets).get_asset_graph()
    assert {node.group_name for node in graph.nodes.values()} == {"shop"}


def test_modules_are_read_in_the_order_of_their_lines():
    module = types.ModuleType("made")

    @dg.asset
    def zebra(): ...

    @dg.asset
    def ant(): ...

    module.zebra, module.ant, module.again, module.number = zebra, ant, zebra, 3
    assert keys(dg.load_assets_from_modules([module])) == ["zebra", "ant"]


@dg.asset
def here(): ...


def test_the_current_module_is_the_callers():
    assert keys(dg.load_assets_from_current_module()) == ["here"]
    assert keys(dg.load_definitions_from_current_module().parts.assets) == ["here"]


def test_a_group_that_an_asset_has_already_is_not_overridden():
    module = types.ModuleType("made")

    @dg.asset(group_name="own")
    def zebra(): ...

    module.zebra = zebra
    with pytest.raises(InvalidDefinitionError, match="zebra is in the group 'own', and would go to 'other'"):
        dg.load_assets_from_modules([module], group_name="other")


def test_a_group_name_that_cannot_be_is_refused():
    with pytest.raises(InvalidDefinitionError, match="load_assets_from_modules has group_name='a b'"):
        dg.load_assets_from_modules([], group_name="a b")


def test_definitions_of_a_package_hold_assets_jobs_schedules_and_sensors(package):
    defs = dg.load_definitions_from_package_name(package, resources={"x": 1}, executor=dg.in_process_executor)
    repository = defs.resolve()
    assert set(repository.jobs) == {"report_job", "__ASSET_JOB"}
    assert (set(repository.schedules), set(repository.sensors)) == ({"nightly"}, {"watcher"})
    assert repository.executor is dg.in_process_executor
    assert "x" in repository.resource_defs
