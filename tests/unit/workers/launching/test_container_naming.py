"""Names and labels of containers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from orchord.runs import Run, RunStatus
from orchord.storage.values import LaunchKey
from orchord_workers.containers.platform import OWNER_LABEL, RUN_LABEL
from orchord_workers.launching.naming import key_of, labels_of, run_container_name, step_container_name

RUN_ID = "01a20622-9e9b-7079-b777-2e68f0a4c6cc"
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize(
    "step_key",
    ["a", "one.Two_three", "x" * 200, "___", "ünï", "graph.step[1]"],
    ids=["short", "path", "long", "bare", "letters", "mapped"],
)
def test_a_name_is_a_dns_label_whatever_the_step_is_called(step_key: str) -> None:
    name = step_container_name(RUN_ID, step_key, 123)
    assert DNS_LABEL.fullmatch(name)
    assert len(name) <= 63


def test_the_name_of_an_attempt_is_always_the_same_and_nobody_elses() -> None:
    assert step_container_name(RUN_ID, "a", 1) == step_container_name(RUN_ID, "a", 1)
    others = [(RUN_ID, "a", 2), (RUN_ID, "A", 1), (RUN_ID.replace("0", "1"), "a", 1), (RUN_ID, "a.", 1)]
    assert len({step_container_name(RUN_ID, "a", 1), *(step_container_name(*other) for other in others)}) == 5


def test_a_runs_container_is_named_by_the_run_and_the_try() -> None:
    assert run_container_name(RUN_ID, 2) == f"orchord-run-{RUN_ID}-2"


def test_labels_say_what_a_container_was_started_for() -> None:
    run = Run(RUN_ID, "job", "place", RunStatus.STARTED, "snapshot", datetime.now(UTC))
    step = labels_of("me", run, "graph.op", 3)
    assert step[OWNER_LABEL] == "me"
    assert key_of(step) == LaunchKey(RUN_ID, "graph.op", 3)
    assert key_of(labels_of("me", run)) == LaunchKey(RUN_ID)


def test_labels_of_others_say_nothing() -> None:
    assert key_of({}) is None
    assert key_of({RUN_LABEL: RUN_ID, "orchord/step_key": "a", "orchord/attempt": "one"}) is None
