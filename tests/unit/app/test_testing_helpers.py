"""What ``orchord.testing`` offers to users' tests does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import orchord as dg
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.runs import AttemptStatus, RunStatus
from orchord.settings import Settings
from orchord.snapshot import snapshot_of
from orchord.testing import eventually
from orchord.testing.fake_launcher import FakeRunLauncher


class TestEventually:
    def test_returns_the_first_true_value(self) -> None:
        values = iter([0, "", 7, 8])
        assert eventually(lambda: next(values)) == 7

    def test_says_what_did_not_come_true_and_the_last_value(self) -> None:
        with pytest.raises(AssertionError, match=r"Not within 0.02 s: the sky falls; last value: 0"):
            eventually(lambda: 0, 0.02, because="the sky falls")

    def test_waits_through_errors_that_mean_not_yet(self) -> None:
        values: Iterator[Any] = iter([KeyError("a"), KeyError("b"), "there"])

        def condition() -> str:
            value = next(values)
            if isinstance(value, KeyError):
                raise value
            return str(value)

        assert eventually(condition, ignoring=(KeyError,)) == "there"

    def test_lets_other_errors_through_at_once(self) -> None:
        def condition() -> bool:
            raise ValueError("a mistake")

        with pytest.raises(ValueError, match="a mistake"):
            eventually(condition, ignoring=(KeyError,))

    def test_shows_the_last_error_when_time_is_up(self) -> None:
        def condition() -> bool:
            raise KeyError("missing")

        with pytest.raises(AssertionError, match=r"last error: KeyError\('missing'\)"):
            eventually(condition, 0.02, ignoring=(KeyError,))


@dg.op(out={"some": dg.Out(), "others": dg.Out()})
def split() -> Any: ...


@dg.op
def use(value: Any) -> Any: ...


@dg.job
def forked() -> None:
    some, others = split()
    use(some)
    use.alias("use_others")(others)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def _instance(home: Path, **config: Any) -> OrchordInstance:
    plugin = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher", "config": config}
    (home / "orchord.yaml").write_text(yaml.safe_dump({"run_launcher": plugin}))
    instance = OrchordInstance.from_home(Settings(home=home, home_is_given=True))
    instance.storage.migrate()
    instance.storage.locations.put(snapshot_of(dg.Definitions(jobs=[forked]).resolve(), "here"))
    return instance


class TestFakeRunLauncher:
    def test_ends_every_step_with_all_of_its_outputs(self, home: Path) -> None:
        with _instance(home) as instance:
            run, _ = instance.launch(LaunchRequest(job_name="forked"))
            attempts = instance.storage.attempts.of_run(run.run_id)
            assert instance.storage.runs.get(run.run_id).status is RunStatus.SUCCESS
            assert {item.step_key: item.outputs for item in attempts}["split"] == ("some", "others")
            assert isinstance(instance.run_launcher, FakeRunLauncher)
            assert instance.run_launcher.launched == [run.run_id]

    def test_fails_the_steps_that_it_is_told_to(self, home: Path) -> None:
        with _instance(home, failing_steps=["split"]) as instance:
            run, _ = instance.launch(LaunchRequest(job_name="forked"))
            attempts = instance.storage.attempts.of_run(run.run_id)
            assert instance.storage.runs.get(run.run_id).status is RunStatus.FAILURE
            assert {item.step_key: item.status for item in attempts} == {
                "split": AttemptStatus.FAILURE,
                "use": AttemptStatus.UPSTREAM_FAILED,
                "use_others": AttemptStatus.UPSTREAM_FAILED,
            }

    def test_leaves_runs_alone_when_told_to(self, home: Path) -> None:
        with _instance(home, unfinished=True) as instance:
            run, _ = instance.launch(LaunchRequest(job_name="forked"))
            assert instance.wait(run.run_id, 0.05).status is RunStatus.STARTING
            assert instance.cancel(run.run_id).status is RunStatus.CANCELED
