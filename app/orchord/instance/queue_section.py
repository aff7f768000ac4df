"""The config of QueuedRunCoordinator, in Dagster's keys, as checked values; with ``concurrency``, where that says it.

What the limits mean is run_limits.py, what is done with them run_queue.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchord.instance.concurrency_section import parse_tag_limits
from orchord.instance.run_limits import DEFAULT_MAX_CONCURRENT_RUNS, QueueLimits
from orchord.instance.section_reader import read_section
from orchord.instance.sections import (
    ConcurrencySettings,
    Count,
    CountAboveZero,
    Limit,
    Seconds,
    SecondsOrFraction,
    Switch,
    TagConcurrencyLimit,
)

PATH = "run_coordinator.config"


class BlockedRuns(msgspec.Struct, frozen=True):
    """``block_op_concurrency_limited_runs``: whether a run whose first steps would all wait for pools stays queued.

    ``op_concurrency_slot_buffer``: so many more than there are slots are let go nevertheless.
    """

    enabled: Switch = True
    op_concurrency_slot_buffer: Count = 0


class QueueConfig(msgspec.Struct, frozen=True):
    """The coordinator's config as it is written. The last two keys are accepted: launching needs no user code here."""

    max_concurrent_runs: Limit | None = None
    tag_concurrency_limits: tuple[TagConcurrencyLimit, ...] = ()
    dequeue_interval_seconds: SecondsOrFraction = 5.0
    dequeue_use_threads: Switch = False
    dequeue_num_workers: CountAboveZero | None = None
    block_op_concurrency_limited_runs: BlockedRuns = BlockedRuns()
    max_user_code_failure_retries: Count = 0
    user_code_failure_retry_delay: Seconds = 60


class QueueSettings(msgspec.Struct, frozen=True):
    """How the run queue works.

    Attributes:
        limits: which runs may go.
        dequeue_interval_seconds: the longest pause between two looks of the daemon.
        use_threads: whether several runs are handed to the launcher at once.
        num_workers: how many.
    """

    limits: QueueLimits = QueueLimits()
    dequeue_interval_seconds: float = 5.0
    use_threads: bool = False
    num_workers: int = 8


def parse_queue(config: Mapping[str, Any], concurrency: ConcurrencySettings, mistakes: list[str]) -> QueueSettings:
    """Return the coordinator's config as settings; what is wrong is added to ``mistakes``."""
    blocked = read_section(
        f"{PATH}.block_op_concurrency_limited_runs",
        config.get("block_op_concurrency_limited_runs"),
        BlockedRuns,
        mistakes,
    )
    tag_limits = parse_tag_limits(f"{PATH}.tag_concurrency_limits", config.get("tag_concurrency_limits"), mistakes)
    found = read_section(
        PATH,
        dict(config),
        QueueConfig,
        mistakes,
        block_op_concurrency_limited_runs=blocked,
        tag_concurrency_limits=tag_limits,
    )
    most = found.max_concurrent_runs
    if concurrency.runs is not None:
        most = concurrency.runs.max_concurrent_runs if most is None else most
        tag_limits = tag_limits or concurrency.runs.tag_concurrency_limits
    if most is None:
        most = DEFAULT_MAX_CONCURRENT_RUNS
    pools = concurrency.pools
    limits = QueueLimits(
        max_concurrent_runs=None if most < 0 else most,
        tag_limits=tag_limits,
        blocks_on_pools=blocked.enabled,
        pool_buffer=blocked.op_concurrency_slot_buffer or pools.op_granularity_run_buffer,
        runs_per_pool=pools.granularity == "run",
        default_pool_limit=pools.default_limit,
    )
    return QueueSettings(
        limits=limits,
        dequeue_interval_seconds=found.dequeue_interval_seconds,
        use_threads=found.dequeue_use_threads,
        num_workers=found.dequeue_num_workers or QueueSettings().num_workers,
    )
