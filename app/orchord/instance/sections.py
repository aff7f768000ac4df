"""The instance file's sections as frozen values: each key, its default and its bounds. Made once, read by everybody.

What a section's text may look like is read in section_reader.py; the whole file is config.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, description="a whole number, 0 or more")]
CountAboveZero = Annotated[int, Meta(ge=1, description="a whole number above 0")]
Limit = Annotated[int, Meta(ge=-1, description="a whole number, or -1 for no limit")]
Days = Annotated[int, Meta(ge=-1, description="a whole number of days, or -1 to keep for ever")]
Seconds = Annotated[int, Meta(ge=0, description="a whole number of seconds, 0 or more")]
SecondsAboveZero = Annotated[int, Meta(ge=1, description="a whole number of seconds above 0")]
SecondsOrFraction = Annotated[float, Meta(gt=0, description="a number of seconds above 0")]
Priority = Annotated[int, Meta(ge=0, le=255, description="a whole number from 0 to 255")]
Switch = Annotated[bool, Meta(description="true or false")]

DEFAULT_BROKER = "redis://127.0.0.1:6379/0"


class RunMonitoringSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``run_monitoring``: how long a run may stay in a state before the daemon steps in.

    Attributes:
        enabled: whether the time limits below are watched. Lost messages and lost workers are mended in any case.
        start_timeout_seconds: a run that is STARTING for longer, and that nobody carries out, fails. 0: never.
        cancel_timeout_seconds: a run that is CANCELING for longer is ended by force. 0: never.
        max_runtime_seconds: a run that is STARTED for longer is stopped and fails; the tag orchord/max_runtime goes
            first. 0: no limit.
        max_resume_run_attempts: how often a run whose own process was lost is begun again.
        poll_interval_seconds: the longest pause between two looks at the limits above.
        cancellation_thread_poll_interval_seconds: the longest pause between two looks for runs to cancel.
        free_slots_after_run_end_seconds: slots of pools that an ended run still holds are freed after this time.
    """

    enabled: Switch = True
    start_timeout_seconds: Seconds = 180
    cancel_timeout_seconds: Seconds = 180
    max_runtime_seconds: Seconds = 0
    max_resume_run_attempts: Count = 0
    poll_interval_seconds: SecondsAboveZero = 120
    cancellation_thread_poll_interval_seconds: SecondsAboveZero = 10
    free_slots_after_run_end_seconds: Seconds = 0


class RunRetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``run_retries``: whether failed runs are run again as a whole.

    Attributes:
        enabled: whether failed runs are looked at at all; also those with the tag orchord/max_retries.
        max_retries: how often, for runs without that tag.
        retry_on_asset_or_op_failure: whether a run whose step failed in user code is retried too; else only runs
            that were lost or stopped from outside.
    """

    enabled: Switch = False
    max_retries: Count = 0
    retry_on_asset_or_op_failure: Switch = True


class TickSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``sensors``: how ticks of sensors are evaluated.

    Attributes:
        use_threads: accepted; ticks always run in processes of their own, so that one can be stopped.
        num_workers: how many processes of a location evaluate ticks at all times; more are started when they are busy.
        num_submit_workers: accepted; a tick's runs are recorded in one transaction.
        timeout_seconds: how long one tick may take. ``timeout_seconds=`` of a definition goes first.
    """

    use_threads: Switch = False
    num_workers: CountAboveZero | None = None
    num_submit_workers: CountAboveZero | None = None
    timeout_seconds: SecondsAboveZero = 60


class ScheduleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``schedules``: how ticks of schedules are made and evaluated.

    Attributes:
        use_threads: accepted; see ``sensors``.
        num_workers: as for ``sensors``; the larger of the two counts.
        num_submit_workers: accepted; see ``sensors``.
        timeout_seconds: how long one tick may take. ``timeout_seconds=`` of a definition goes first.
        max_catchup_runs: how many of a schedule's missed ticks are made up for after a pause; older ones are left out.
        max_tick_retries: how often a tick that failed in user code is evaluated again.
    """

    use_threads: Switch = False
    num_workers: CountAboveZero | None = None
    num_submit_workers: CountAboveZero | None = None
    timeout_seconds: SecondsAboveZero = 60
    max_catchup_runs: Count = 5
    max_tick_retries: Count = 0


class TickRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After how many days ticks of each status are removed. 0 and -1: never."""

    skipped: Days = -1
    success: Days = -1
    failure: Days = -1
    started: Days = -1


class RunRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After how many days after their end runs of each status are removed, with all that is theirs. 0 and -1: never."""

    success: Days = -1
    failure: Days = -1
    canceled: Days = -1


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``retention``: what is removed by age.

    In the file, each part is ``{purge_after_days: ...}``, which takes days, or days by status.
    """

    schedule: TickRetention = TickRetention()
    sensor: TickRetention = TickRetention(skipped=7)
    run: RunRetention = RunRetention()


class TagConcurrencyLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many runs with a tag may be under way at once.

    Attributes:
        key: the tag.
        limit: the number.
        value: the tag's value that counts; None: any.
        per_unique_value: whether each value has its own count (``value: {applyLimitPerUniqueValue: true}``).
    """

    key: str
    limit: Count
    value: str | None = None
    per_unique_value: bool = False


class PoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``concurrency: pools``.

    Attributes:
        default_limit: slots of a pool that has no limit of its own; None: no limit.
        granularity: ``op``: a running step holds a slot; ``run``: a run holds one of each of its pools.
        op_granularity_run_buffer: how many runs more than there are slots are let go when all of a run's first
            steps wait for pools.
    """

    default_limit: Count | None = None
    granularity: Literal["op", "run"] = "op"
    op_granularity_run_buffer: Count = 0


class RunConcurrencySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``concurrency: runs``, or the older ``run_queue``: limits of the run queue; None where nothing is said.

    Attributes:
        max_concurrent_runs: -1: no limit; 0: nothing is dequeued.
        tag_concurrency_limits: limits by tag.
    """

    max_concurrent_runs: Limit | None = None
    tag_concurrency_limits: tuple[TagConcurrencyLimit, ...] = ()


class ConcurrencySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``concurrency``: ``runs`` is None when the section does not speak of runs."""

    pools: PoolSettings = PoolSettings()
    runs: RunConcurrencySettings | None = None


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``telemetry``: accepted. Nothing is ever sent, whatever it says."""

    enabled: Switch = True


class CelerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``celery``: broker, result backend, and how messages travel. Addresses may hold passwords: ``repr`` hides them.

    Attributes:
        broker: the URL of the broker.
        result_backend: a Redis or Valkey URL, for chords; by default the broker, where that is one.
        worker_concurrency: how many steps a worker runs at once, unless it is told otherwise.
        visibility_timeout_seconds: Redis and Valkey only: a message that is not acknowledged for longer is delivered
            again. Claims in the database make that harmless.
        queues: names of further queues, which steps ask for by the tag orchord/celery_queue.
        default_priority: of messages whose run and op say nothing. Higher goes first, on every broker.
        max_priority: the highest priority; higher ones count as this. 0: no priorities, one plain queue.
    """

    broker: str = DEFAULT_BROKER
    result_backend: str = ""
    worker_concurrency: CountAboveZero | None = None
    visibility_timeout_seconds: SecondsAboveZero = 3600
    queues: tuple[str, ...] = ()
    default_priority: Priority = 5
    max_priority: Priority = 10

    def __post_init__(self) -> None:
        if not self.result_backend:
            msgspec.structs.force_setattr(self, "result_backend", self.broker)

    def __repr__(self) -> str:
        shown: list[Any] = [f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__[2:]]
        return f"CelerySettings({', '.join(shown)})"
