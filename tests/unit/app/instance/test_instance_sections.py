"""The daemon's sections of the instance file: their defaults, every form they take, and every mistake's words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchord.errors import InstanceConfigError
from orchord.instance import InstanceConfig
from orchord.instance.sections import (
    CelerySettings,
    ConcurrencySettings,
    PoolSettings,
    RetentionSettings,
    RunConcurrencySettings,
    RunMonitoringSettings,
    RunRetention,
    RunRetrySettings,
    ScheduleSettings,
    TagConcurrencyLimit,
    TickRetention,
    TickSettings,
)


def parsed(text: str) -> InstanceConfig:
    return InstanceConfig.parse(yaml.safe_load(text) or {}, Path("/srv/orchord"))


def mistakes_of(text: str) -> tuple[str, ...]:
    with pytest.raises(InstanceConfigError) as caught:
        parsed(text)
    return caught.value.mistakes


class TestDefaults:
    def test_runs_are_monitored_and_not_retried(self) -> None:
        config = parsed("")
        assert config.run_monitoring == RunMonitoringSettings(
            enabled=True,
            start_timeout_seconds=180,
            cancel_timeout_seconds=180,
            max_runtime_seconds=0,
            max_resume_run_attempts=0,
            poll_interval_seconds=120,
        )
        assert config.run_retries == RunRetrySettings(enabled=False, max_retries=0, retry_on_asset_or_op_failure=True)

    def test_ticks_have_a_minute_and_five_missed_ones_are_caught_up(self) -> None:
        config = parsed("")
        assert config.sensors == TickSettings(use_threads=False, num_workers=None, timeout_seconds=60)
        assert config.schedules == ScheduleSettings(timeout_seconds=60, max_catchup_runs=5, max_tick_retries=0)

    def test_only_skipped_ticks_of_sensors_are_removed_by_age(self) -> None:
        assert parsed("").retention == RetentionSettings(
            schedule=TickRetention(skipped=-1, success=-1, failure=-1, started=-1),
            sensor=TickRetention(skipped=7, success=-1, failure=-1, started=-1),
            run=RunRetention(success=-1, failure=-1, canceled=-1),
        )

    def test_nothing_is_limited(self) -> None:
        config = parsed("")
        assert config.concurrency == ConcurrencySettings(
            pools=PoolSettings(default_limit=None, granularity="op", op_granularity_run_buffer=0), runs=None
        )
        assert config.run_coordinator.class_name == "DefaultRunCoordinator"


class TestPlainSections:
    def test_all_keys_are_taken_and_an_empty_section_is_as_good_as_none(self) -> None:
        config = parsed(
            """
            run_monitoring: {enabled: false, start_timeout_seconds: 300, cancel_timeout_seconds: 20,
              max_runtime_seconds: 60, max_resume_run_attempts: 3, poll_interval_seconds: 10}
            run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}
            sensors: {num_workers: 4, timeout_seconds: 5}
            schedules: {num_workers: 8, timeout_seconds: 6, max_catchup_runs: 0, max_tick_retries: 1}
            telemetry:
            """
        )
        assert config.run_monitoring == RunMonitoringSettings(False, 300, 20, 60, 3, 10)
        assert config.run_retries == RunRetrySettings(True, 2, False)
        assert config.sensors == TickSettings(num_workers=4, timeout_seconds=5)
        assert config.schedules == ScheduleSettings(
            num_workers=8, timeout_seconds=6, max_catchup_runs=0, max_tick_retries=1
        )
        assert config.telemetry.enabled is True

    def test_text_of_the_environment_stands_for_numbers_and_switches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, text in (("LIMIT", "30"), ("RETRIES", "true"), ("EMPTY", "")):
            monkeypatch.setenv(name, text)
        config = parsed(
            """
            run_monitoring: {start_timeout_seconds: {env: LIMIT}, poll_interval_seconds: {env: EMPTY}}
            run_retries: {enabled: {env: RETRIES}}
            retention: {run: {purge_after_days: {env: LIMIT}}}
            """
        )
        assert config.run_monitoring == RunMonitoringSettings(start_timeout_seconds=30)
        assert config.run_retries.enabled is True
        assert config.retention.run == RunRetention(30, 30, 30)

    def test_the_schedulers_config_is_the_schedules(self) -> None:
        text = "scheduler: {module: dagster, class: DagsterDaemonScheduler, config: {max_catchup_runs: 2}}"
        config = parsed(text + "\nschedules: {max_tick_retries: 1}")
        assert config.schedules == ScheduleSettings(max_catchup_runs=2, max_tick_retries=1)
        assert config.without_effect == ()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("run_monitoring: 5", "run_monitoring: found 5, expected a mapping."),
            (
                "run_monitoring: {start_timeout_secs: 5}",
                "run_monitoring: unknown key 'start_timeout_secs'. Did you mean 'start_timeout_seconds'?",
            ),
            (
                "run_monitoring: {start_timeout_seconds: -5}",
                "run_monitoring.start_timeout_seconds: found -5, expected a whole number of seconds, 0 or more.",
            ),
            (
                "run_monitoring: {poll_interval_seconds: soon}",
                "run_monitoring.poll_interval_seconds: found 'soon', expected a whole number of seconds above 0.",
            ),
            ("run_retries: {enabled: perhaps}", "run_retries.enabled: found 'perhaps', expected true or false."),
            ("run_retries: {max_retries: true}", "run_retries.max_retries: found True, expected a whole number"),
            ("sensors: {num_workers: 0}", "sensors.num_workers: found 0, expected a whole number above 0."),
            ("schedules: {max_catchup_runs: 1.5}", "schedules.max_catchup_runs: found 1.5, expected a whole number"),
            ("telemetry: {enabled: {env: on}}", "telemetry.enabled: YAML reads the variable's name as True. Put it in"),
            ("telemetry: {enable: true}", "telemetry: unknown key 'enable'. Did you mean 'enabled'?"),
            (
                "scheduler: {module: dagster, class: DagsterDaemonScheduler, config: {max_catchup: 2}}",
                "scheduler.config: unknown key 'max_catchup'. Did you mean 'max_catchup_runs'?",
            ),
            (
                (
                    "schedules: {max_catchup_runs: 3}\nscheduler: {module: dagster, class: DagsterDaemonScheduler, "
                    "config: {max_catchup_runs: 2}}"
                ),
                "scheduler.config.max_catchup_runs and schedules.max_catchup_runs are both given. Keep the latter.",
            ),
        ],
    )
    def test_each_mistake(self, text: str, words: str) -> None:
        assert words in "\n".join(mistakes_of(text))


def test_the_larger_of_both_counts_of_workers_counts() -> None:
    assert parsed("").tick_workers is None
    assert parsed("sensors: {num_workers: 3}").tick_workers == 3
    assert parsed("sensors: {num_workers: 3}\nschedules: {num_workers: 4}").tick_workers == 4


class TestRetention:
    def test_days_for_every_status_or_by_status(self) -> None:
        config = parsed(
            """
            retention:
              schedule: {purge_after_days: 90}
              sensor: {purge_after_days: {success: 5}}
              run: {purge_after_days: {failure: 30, success: -1}}
            """
        )
        assert config.retention == RetentionSettings(
            schedule=TickRetention(90, 90, 90, 90),
            sensor=TickRetention(skipped=7, success=5),
            run=RunRetention(failure=30),
        )

    def test_zero_days_keep_as_minus_one_does(self) -> None:
        config = parsed("retention: {schedule: {purge_after_days: 0}, sensor: {purge_after_days: {skipped: 0}}}")
        assert config.retention == RetentionSettings(schedule=TickRetention(), sensor=TickRetention())

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("retention: {sensors: {}}", "retention: unknown key 'sensors'. Did you mean 'sensor'?"),
            ("retention: {run: {days: 3}}", "retention.run: unknown key 'days'. Known: purge_after_days."),
            (
                "retention: {run: {purge_after_days: {skipped: 3}}}",
                "retention.run.purge_after_days: unknown key 'skipped'. Known: canceled, failure, success.",
            ),
            (
                "retention: {sensor: {purge_after_days: x}}",
                (
                    "retention.sensor.purge_after_days: found 'x', expected a whole number of days, or -1 to keep "
                    "for ever, or a mapping by status."
                ),
            ),
            (
                "retention: {sensor: {purge_after_days: {skipped: -2}}}",
                "retention.sensor.purge_after_days.skipped: found -2, expected a whole number of days, or -1",
            ),
        ],
    )
    def test_each_mistake(self, text: str, words: str) -> None:
        assert words in "\n".join(mistakes_of(text))


class TestConcurrency:
    def test_limits_of_runs_ask_for_the_queue(self) -> None:
        config = parsed(
            """
            concurrency:
              runs:
                max_concurrent_runs: 3
                tag_concurrency_limits:
                  - {key: team, limit: 2}
                  - {key: team, value: blue, limit: 1}
                  - {key: user, value: {applyLimitPerUniqueValue: true}, limit: "4"}
              pools: {default_limit: 1, granularity: run, op_granularity_run_buffer: 2}
            """
        )
        assert config.run_coordinator.class_name == "QueuedRunCoordinator"
        assert config.concurrency == ConcurrencySettings(
            PoolSettings(1, "run", 2),
            RunConcurrencySettings(
                3,
                (
                    TagConcurrencyLimit("team", 2),
                    TagConcurrencyLimit("team", 1, value="blue"),
                    TagConcurrencyLimit("user", 4, per_unique_value=True),
                ),
            ),
        )

    def test_the_older_forms_say_the_same(self) -> None:
        config = parsed("run_queue: {max_concurrent_runs: 3}\nconcurrency: {default_op_concurrency_limit: 2}")
        assert config.run_coordinator.class_name == "QueuedRunCoordinator"
        assert config.run_coordinator.config == {"max_concurrent_runs": 3}
        assert config.concurrency.pools == PoolSettings(default_limit=2)

    def test_limits_beside_a_coordinator_that_has_no_queue_are_told_to_change_nothing(self) -> None:
        text = "concurrency: {runs: {max_concurrent_runs: 3}}\n"
        config = parsed(text + "run_coordinator: {module: dagster, class: DefaultRunCoordinator}")
        assert config.without_effect == (
            "concurrency.runs: DefaultRunCoordinator lets every run go at once; QueuedRunCoordinator keeps limits",
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("concurrency: {pool: {}}", "concurrency: unknown key 'pool'. Did you mean 'pools'?"),
            ("concurrency: {pools: {granularity: job}}", "granularity: found 'job', expected 'op' or 'run'."),
            (
                "concurrency: {pools: {default_limit: -1}}",
                "default_limit: found -1, expected a whole number, 0 or more.",
            ),
            (
                "concurrency: {runs: {max_concurrent_runs: -2}}",
                "concurrency.runs.max_concurrent_runs: found -2, expected a whole number, or -1 for no limit.",
            ),
            (
                "concurrency: {default_op_concurrency_limit: x}",
                "concurrency.default_op_concurrency_limit: found 'x', expected a whole number, 0 or more.",
            ),
            (
                "concurrency: {default_op_concurrency_limit: 1, pools: {}}",
                "concurrency: default_op_concurrency_limit and pools are both given. Keep pools",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: team}}",
                "tag_concurrency_limits: found 'team', expected a list of mappings with key, value and limit.",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: [{key: a, limt: 3}]}}",
                "tag_concurrency_limits[0]: unknown key 'limt'. Did you mean 'limit'?",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: [{key: a}]}}",
                "tag_concurrency_limits[0].limit: found None, expected a whole number, 0 or more.",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: [{limit: 1}]}}",
                "tag_concurrency_limits[0].key: found None, expected a tag's name.",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: [{key: a, value: 3, limit: 1}]}}",
                "tag_concurrency_limits[0].value: found 3, expected text. Put it in quotes.",
            ),
            (
                "concurrency: {runs: {tag_concurrency_limits: [{key: a, value: {perValue: 1}, limit: 1}]}}",
                "expected text or applyLimitPerUniqueValue: true.",
            ),
            (
                "run_queue: {}\nrun_coordinator: {module: dagster, class: DefaultRunCoordinator}",
                "run_queue and run_coordinator are both given. Keep run_coordinator.",
            ),
            ("run_queue: 5", "run_queue: found 5, expected a mapping."),
            (
                "run_queue: {max_concurrent_runs: -3}",
                "run_queue.max_concurrent_runs: found -3, expected a whole number, or -1 for no limit.",
            ),
            (
                "run_coordinator: {module: dagster, class: QueuedRunCoordinator, config: {max_concurrent: 3}}",
                "run_coordinator.config: unknown key 'max_concurrent'. Did you mean 'max_concurrent_runs'?",
            ),
            (
                "run_coordinator: {module: dagster, class: DefaultRunCoordinator, config: {max_concurrent_runs: 3}}",
                "run_coordinator.config: unknown key 'max_concurrent_runs'. DefaultRunCoordinator takes none.",
            ),
            (
                "run_queue: {max_concurrent_runs: 5}\nconcurrency: {runs: {}}",
                (
                    "run_queue.max_concurrent_runs: cannot be given beside concurrency. Say it there, as "
                    "runs.max_concurrent_runs."
                ),
            ),
            (
                (
                    "concurrency: {pools: {}}\nrun_coordinator: {module: dagster, class: QueuedRunCoordinator, config: "
                    "{block_op_concurrency_limited_runs: {op_concurrency_slot_buffer: 1}}}"
                ),
                (
                    "run_coordinator.config.block_op_concurrency_limited_runs.op_concurrency_slot_buffer: cannot be "
                    "given beside concurrency. Say it there, as pools.op_granularity_run_buffer."
                ),
            ),
        ],
    )
    def test_each_mistake(self, text: str, words: str) -> None:
        assert words in "\n".join(mistakes_of(text))


def test_mistakes_of_every_section_are_listed_together() -> None:
    found = mistakes_of(
        """
        run_monitorin: {}
        run_retries: {max_retry: 1}
        sensors: {timeout_seconds: 0}
        retention: {run: 5}
        concurrency: {runs: {max_concurrent_runs: x}}
        celery: {max_priority: 300}
        """
    )
    assert len(found) == 6
    assert found[0] == "unknown section 'run_monitorin'. Did you mean 'run_monitoring'?"


def test_addresses_are_not_shown() -> None:
    assert "secret" not in repr(CelerySettings(broker="redis://:secret@x/0"))
