"""The order in which a container's child becomes known and takes its attempt over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from orchord_workers.hosting.one_step import StepOrder, run_step


def test_the_containers_sign_of_life_is_there_before_it_holds_the_attempt() -> None:
    acts: list[str] = []

    def take_over(*_: Any) -> None:
        acts.append("took over")

    launches = SimpleNamespace(take_over=take_over)
    process = SimpleNamespace(
        instance=SimpleNamespace(storage=SimpleNamespace(launches=launches)), worker_id="orchord-box-1"
    )
    child = SimpleNamespace(wait_for_parent=lambda: acts.append("was known"), process_id=7)
    order = StepOrder("run", "step", 1, "launch-token", "token")
    assert run_step(cast(Any, process), cast(Any, child), order, cast(Any, None)) == 0
    assert acts == ["was known", "took over"]
