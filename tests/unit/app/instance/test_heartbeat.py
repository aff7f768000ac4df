"""A process that carries out a run of its own reports itself while it lasts, and leaves no trace of that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import orchord as dg
from orchord.events import utc_now
from orchord.instance import OrchordInstance, heartbeat
from orchord.instance.recording import EXECUTED_BY_TAG
from orchord.testing import eventually


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


def test_a_run_in_this_process_is_kept_alive_by_a_heartbeat_that_ends_with_it(
    instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.02)
    before = utc_now()
    seen: list[tuple[str, tuple[str, ...]]] = []

    @dg.op
    def waits_for_a_beat() -> None:
        def beaten() -> bool:
            seen[:] = [(worker.worker_id, worker.queues) for worker in instance.storage.workers.alive(before)]
            return bool(seen)

        eventually(beaten, 10)

    @dg.job
    def beating() -> None:
        waits_for_a_beat()

    result = beating.execute_in_process(instance=instance)
    assert result.success
    stored = instance.storage.runs.get(result.run_id)
    assert seen == [(stored.tags[EXECUTED_BY_TAG], ())]
    assert instance.storage.workers.all() == []


def test_a_run_that_is_over_before_the_first_beat_writes_none(instance: OrchordInstance) -> None:
    @dg.op
    def quick() -> list[str]:
        return [worker.worker_id for worker in instance.storage.workers.all()]

    @dg.job
    def short() -> None:
        quick()

    assert short.execute_in_process(instance=instance).output_for_node("quick") == []
