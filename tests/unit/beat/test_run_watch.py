"""Which runs are over their time, and what is to be done about them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from orchord.events import utc_now
from orchord.instance.sections import RunMonitoringSettings
from orchord.runs import Run, RunStatus, new_run_id
from orchord_beat.run_watch import Act, judged, max_runtime_seconds

NOW = utc_now()
SETTINGS = RunMonitoringSettings(start_timeout_seconds=30, cancel_timeout_seconds=20, max_runtime_seconds=100)


def a_run(status: RunStatus, seconds_ago: float, **more: object) -> Run:
    at = NOW - timedelta(seconds=seconds_ago)
    run = Run(new_run_id(), "a_job", "here", status, "snapshot", at - timedelta(hours=1), updated_at=at)
    return msgspec.structs.replace(run, started_at=at if status is RunStatus.STARTED else None, **more)


def verdict(run: Run, settings: RunMonitoringSettings = SETTINGS, *, is_served: bool = True, waiting: int = 0):
    return judged(run, settings, NOW, is_served=is_served, waiting=waiting)


@pytest.mark.parametrize(
    ("status", "limit", "act"),
    [(RunStatus.STARTED, 100, Act.STOP), (RunStatus.STARTING, 30, Act.FAIL), (RunStatus.CANCELING, 20, Act.END)],
)
def test_a_run_is_over_its_time_at_the_limit_of_its_status_and_never_without_one(status, limit, act) -> None:
    assert verdict(a_run(status, limit - 1)) is None
    assert verdict(a_run(status, limit)).act is act
    assert verdict(a_run(status, 1e6), RunMonitoringSettings(True, 0, 0, 0)) is None


def test_time_in_the_queue_of_busy_workers_does_not_count_as_starting() -> None:
    run = a_run(RunStatus.STARTING, 1000)
    assert verdict(run, waiting=3) is None
    assert verdict(run, waiting=3, is_served=False).act is Act.FAIL


def test_the_words_say_which_setting_it_was() -> None:
    words = verdict(a_run(RunStatus.STARTING, 30)).error.message
    assert words == (
        "The run has not started in 30 s (run_monitoring: start_timeout_seconds): no worker took its first steps."
    )
    words = verdict(a_run(RunStatus.STARTING, 30), is_served=False).error.message
    assert "no worker serves location 'here'; start one with `orchord worker`" in words
    words = verdict(a_run(RunStatus.STARTED, 100)).error.message
    assert words == "The run took longer than 100 s (run_monitoring: max_runtime_seconds)."
    words = verdict(a_run(RunStatus.STARTED, 100, tags={"orchord/max_runtime": "2.5"})).error.message
    assert words == "The run took longer than 2.5 s (its tag orchord/max_runtime)."
    words = verdict(a_run(RunStatus.CANCELING, 20)).error.message
    assert words == "Its steps had not stopped 20 s after it was canceled: ended by force."


def test_the_tag_goes_before_the_instance_file() -> None:
    assert max_runtime_seconds(a_run(RunStatus.STARTED, 1, tags={"orchord/max_runtime": "5"}), SETTINGS) == 5
    assert max_runtime_seconds(a_run(RunStatus.STARTED, 1, tags={"orchord/max_runtime": "0"}), SETTINGS) is None
    assert max_runtime_seconds(a_run(RunStatus.STARTED, 1, tags={"orchord/max_runtime": "soon"}), SETTINGS) == 100


def test_a_tag_that_is_no_number_is_told_of_once_and_the_instance_file_holds(caplog: pytest.LogCaptureFixture) -> None:
    run = a_run(RunStatus.STARTED, 1, tags={"orchord/max_runtime": "soon"})
    assert [max_runtime_seconds(run, SETTINGS) for _ in range(3)] == [100.0] * 3
    assert caplog.text.count("its tag orchord/max_runtime is 'soon', which is no number of seconds") == 1
