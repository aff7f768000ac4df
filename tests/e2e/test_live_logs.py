"""What steps print is followed from another machine: two homes that share a database and a broker, and no folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CODE = str(Path(__file__).parent / "printing_jobs.py")
NEVER = threading.Event()


class Apart:
    """A deployment whose worker is on another machine, as far as files go."""

    def __init__(self, deploy: Any, broker: str, database: str) -> None:
        self.here = deploy(broker=broker, database=database)
        self.there = deploy(broker=broker, database=database)
        migrated = self.here.orchord("instance", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        self.here.start("api", "api", "--port", str(self.here.port), "--log-level", "warning")
        self.here.start("daemon", "daemon")
        self.there.start_worker("worker", CODE)
        self.there.wait_until(self.here.is_ready, 40, "the deployment to be ready")

    def followed(self, run_id: str, step: str, headers: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Messages of a step's log: ``event``, ``id`` and decoded ``data``."""
        url = f"/api/v1/runs/{run_id}/logs/{step}?follow=1"
        with self.here.client.stream("GET", url, headers=headers, timeout=60) as answer:
            assert answer.status_code == 200, answer.read()
            message: dict[str, Any] = {}
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                if not line:
                    if "data" in message:
                        yield message
                    message = {}
                elif key == "data":
                    message["data"] = json.loads(value)
                elif key in ("event", "id"):
                    message[key] = value


@pytest.fixture
def apart(postgres_url: str, valkey_url: str, deploy: Any) -> Apart:
    return Apart(deploy, valkey_url, postgres_url)


def text_of(messages: list[dict[str, Any]], stream: str) -> str:
    return "".join(
        one["data"]["text"] for one in messages if one["event"] == "output" and one["data"]["stream"] == stream
    )


@pytest.mark.timeout(180)
def test_lines_are_seen_on_another_machine_while_the_step_runs_and_none_is_lost_or_doubled(apart: Apart) -> None:
    config = {"ops": {"talk": {"config": {"lines": 40, "pause_seconds": 0.1}}}}
    run = apart.here.launch("talking", run_config=config)
    messages: list[dict[str, Any]] = []
    statuses: list[str] = []
    for message in apart.followed(run["run_id"], "talk"):
        messages.append(message)
        if message["event"] == "output":
            statuses.append(apart.here.run(run["run_id"])["status"])
    assert statuses.count("STARTED") >= 5
    assert text_of(messages, "stdout").split() == " ".join(f"line {n}" for n in range(40)).split()
    assert messages[-1]["event"] == "end"
    assert messages[-1]["data"]["status"] == "SUCCESS"

    # Whoever reconnects after any message gets the rest, and after the last one is told to stop.
    third = [one for one in messages if "id" in one][2]
    seen = text_of(messages[: messages.index(third) + 1], "stdout")
    rest = list(apart.followed(run["run_id"], "talk", {"Last-Event-ID": third["id"]}))
    assert seen + text_of(rest, "stdout") == text_of(messages, "stdout")
    url = f"/api/v1/runs/{run['run_id']}/logs/talk?follow=1"
    assert apart.here.client.get(url, headers={"Last-Event-ID": messages[-1]["id"]}).status_code == 204


@pytest.mark.timeout(180)
def test_what_c_code_and_children_print_is_seen_too_on_both_streams(apart: Apart) -> None:
    run = apart.here.launch("talking_from_everywhere")
    messages = list(apart.followed(run["run_id"], "from_everywhere"))
    assert sorted(text_of(messages, "stdout").splitlines()) == ["from C", "from Python", "from a child"]
    assert text_of(messages, "stderr") == "complaint\n"


@pytest.mark.timeout(180)
def test_lines_printed_before_a_workers_sigkill_are_still_read(apart: Apart) -> None:
    run = apart.here.launch("talking_for_long")
    seen = ""
    for message in apart.followed(run["run_id"], "talk_for_long"):
        seen += text_of([message], "stdout")
        if "line 9\n" in seen:
            break
    apart.there.kill("worker")
    body = apart.here.client.get(f"/api/v1/runs/{run['run_id']}/logs/talk_for_long").json()
    assert body["text"].startswith("".join(f"line {n}\n" for n in range(10)))


@pytest.mark.timeout(180)
def test_what_a_killed_process_printed_is_complete_once_its_attempt_has_ended(apart: Apart) -> None:
    run = apart.here.launch("dying")
    messages = []
    for message in apart.followed(run["run_id"], "die_talking"):
        messages.append(message)
    assert text_of(messages, "stdout") == "last words\n"
    assert messages[-1]["data"]["status"] != "RUNNING"


@pytest.mark.timeout(180)
def test_a_step_that_has_not_begun_is_waited_for_and_one_that_is_not_there_is_refused(apart: Apart) -> None:
    run = apart.here.launch("talking", run_config={"ops": {"talk": {"config": {"lines": 1}}}})
    assert apart.here.client.get(f"/api/v1/runs/{run['run_id']}/logs/nothing?follow=1").status_code == 404
    assert text_of(list(apart.followed(run["run_id"], "talk")), "stdout").strip() == "line 0"
