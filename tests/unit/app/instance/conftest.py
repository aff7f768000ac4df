"""An instance on a SQLite file with a launcher that only remembers, and a location put together by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchord.definitions.config.types import ConfigField, ScalarType, ShapeType
from orchord.errors import BrokerUnavailableError
from orchord.instance import InstanceConfig, LaunchRunContext, OrchordInstance, RunLauncher
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.snapshot import AssetSnapshot, GraphSnapshot, JobSnapshot, LocationSnapshot


class RememberingLauncher(RunLauncher):
    """Remembers what it is told; refuses when ``broker_is_away``."""

    config_keys = frozenset({"color"})

    def __init__(self, instance, config):
        super().__init__(instance, config)
        self.launched: list[LaunchRunContext] = []
        self.terminated: list[str] = []
        self.broker_is_away = False
        self.is_disposed = False

    def launch_run(self, context):
        if self.broker_is_away:
            raise BrokerUnavailableError("The broker at redis://x cannot be reached.")
        self.launched.append(context)

    def terminate(self, run_id):
        self.terminated.append(run_id)
        return True

    def dispose(self):
        self.is_disposed = True


def steps_of(edges: dict[str, str], assets: dict[str, str] | None = None) -> tuple[Step, ...]:
    """Steps by name with the names of their upstreams in one text; ``assets`` are made by the steps named."""
    made = {step: key for key, step in (assets or {}).items()}
    return tuple(
        Step(
            key,
            key.rpartition(".")[2],
            inputs=tuple(
                StepInput(up.replace(".", "_"), (OutputRef(up, "result"),), asset_key=made.get(up))
                for up in ups.split()
            ),
            outputs=(StepOutput("result", asset_key=made.get(key)),),
        )
        for key, ups in edges.items()
    )


def job_of(name: str, edges: dict[str, str], *, assets: dict[str, str] | None = None, **fields) -> JobSnapshot:
    """A job by hand. Its run config takes ``ops.a.config.n``, a number."""
    number = ShapeType("", {"n": ConfigField(ScalarType("Int"), is_required=False, has_default=True, default=1)})
    op = ConfigField(ShapeType("", {"config": ConfigField(number, is_required=False)}), is_required=False)
    ops = ConfigField(ShapeType("", dict.fromkeys(edges, op)), is_required=False, has_default=True, default={})
    given = {"config_type": ShapeType(name, {"ops": ops})} | fields
    return JobSnapshot(name, ExecutionPlan(name, steps_of(edges, assets)), GraphSnapshot(), **given)


DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}
ASSET_EDGES = {"raw": "", "clean": "raw", "g.load": "clean", "g.store": "g.load", "pair": "", "pair_two": "pair"}
ASSET_STEPS = {"raw": "raw", "clean": "clean", "graphed": "g.store", "one": "pair", "two": "pair_two"}


def location(name: str = "home", *extra: JobSnapshot) -> LocationSnapshot:
    """A location with an op job and an asset job."""
    deps = {"clean": ("raw",), "graphed": ("clean",)}
    together = {"one": ("two",), "two": ("one",)}
    return LocationSnapshot(
        name,
        jobs=(
            job_of("diamond", DIAMOND, run_tags={"team": "data"}, default_config={"ops": {"a": {"config": {"n": 5}}}}),
            job_of("assets", ASSET_EDGES, assets=ASSET_STEPS, is_asset_job=True),
            *extra,
        ),
        assets=tuple(
            AssetSnapshot(key, deps=deps.get(key, ()), step_key=step, neighbours=together.get(key, ()), group_name="g")
            for key, step in ASSET_STEPS.items()
        ),
    )


def config_with_launcher(home: Path, **document) -> InstanceConfig:
    """The config of a home whose launcher only remembers."""
    launcher = {"module": RememberingLauncher.__module__, "class": "RememberingLauncher"}
    return InstanceConfig.parse({"run_launcher": launcher, **document}, home)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrchordInstance]:
    """The test's instance, which knows one location."""
    import sys

    monkeypatch.setitem(sys.modules, RememberingLauncher.__module__, sys.modules[RememberingLauncher.__module__])
    with OrchordInstance(tmp_path, config_with_launcher(tmp_path)) as opened:
        opened.storage.migrate()
        opened.storage.locations.put(location())
        yield opened


@pytest.fixture
def make_location():
    """Makes locations by hand."""
    return location


@pytest.fixture
def make_job():
    """Makes jobs by hand."""
    return job_of
