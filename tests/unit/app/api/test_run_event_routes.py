"""A run's events by pages and as a stream, and what its steps printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchord.api.routes.run_events import decoded
from orchord.api.state import Holding
from orchord.events import utc_now
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.storage import Claim

RUNS = "/api/v1/runs"


def body(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json


@pytest.fixture
def run_id(instance: OrchordInstance) -> str:
    return instance.launch(LaunchRequest(job_name="numbers"))[0].run_id


def messages(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]


def test_events_are_read_by_pages(client: FlaskClient, run_id: str) -> None:
    whole = body(client.get(f"{RUNS}/{run_id}/events"))
    assert not whole["has_more"]
    types = [item["type"] for item in whole["items"]]
    assert types[0] == "RUN_STARTING"
    assert types[-1] == "RUN_SUCCESS"
    seen: list[int] = []
    after, more = 0, True
    while more:
        page = body(client.get(f"{RUNS}/{run_id}/events?limit=2&after={after}"))
        seen += [item["id"] for item in page["items"]]
        after, more = page["next_after"], page["has_more"]
    assert seen == [item["id"] for item in whole["items"]]
    assert body(client.get(f"{RUNS}/{run_id}/events?after={after}"))["next_after"] == after


def test_events_are_filtered_by_type_and_step(client: FlaskClient, run_id: str) -> None:
    items = body(client.get(f"{RUNS}/{run_id}/events?types=STEP_START&types=STEP_SUCCESS&step=clean"))["items"]
    assert [(item["type"], item["step_key"]) for item in items] == [("STEP_START", "clean"), ("STEP_SUCCESS", "clean")]
    assert client.get(f"{RUNS}/{run_id}/events?types=NOTHING").status_code == 422


def test_following_gives_every_event_and_ends_with_the_run(client: FlaskClient, run_id: str) -> None:
    items = body(client.get(f"{RUNS}/{run_id}/events"))["items"]
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1")
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert messages(answer.text) == items


def test_following_goes_on_after_the_last_message(client: FlaskClient, run_id: str) -> None:
    items = body(client.get(f"{RUNS}/{run_id}/events"))["items"]
    headers = {"Last-Event-ID": str(items[2]["id"])}
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1&after=0", headers=headers)
    assert messages(answer.text) == items[3:]


def test_following_what_has_ended_tells_browsers_to_stop(client: FlaskClient, run_id: str, holding: Holding) -> None:
    last = body(client.get(f"{RUNS}/{run_id}/events"))["items"][-1]["id"]
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1", headers={"Last-Event-ID": str(last)})
    assert (answer.status_code, answer.data) == (204, b"")
    assert holding.take()
    assert holding.take()


def test_following_a_filter_ends_with_the_run(client: FlaskClient, run_id: str) -> None:
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1&types=STEP_START")
    assert [one["step_key"] for one in messages(answer.text)] == ["load", "clean", "report"]


@pytest.mark.parametrize("position", ["x", "-1", "99999999999999999999", "1.5"])
def test_a_wrong_position_is_422(client: FlaskClient, run_id: str, position: str) -> None:
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1", headers={"Last-Event-ID": position})
    assert answer.status_code == 422


def test_too_many_followers_are_sent_away(client: FlaskClient, run_id: str, holding: Holding) -> None:
    assert holding.take()
    assert holding.take()
    answer = client.get(f"{RUNS}/{run_id}/events?follow=1")
    assert body(answer, 503)["type"] == "urn:orchord:problem:too-many-followers"
    assert answer.headers["Retry-After"] == "5"


def test_a_follower_gives_its_place_back(client: FlaskClient, run_id: str, holding: Holding) -> None:
    for _ in range(4):
        answer = client.get(f"{RUNS}/{run_id}/events?follow=1")
        assert messages(answer.text)
        answer.close()
    assert holding.take()
    assert holding.take()


def test_a_follower_that_goes_gives_its_place_back(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    instance = open_instance(unfinished=True)
    client = client_of(instance)
    run = instance.launch(LaunchRequest(job_name="numbers"))[0]
    answer = client.get(f"{RUNS}/{run.run_id}/events?follow=1", buffered=False)
    answer.close()
    holding: Holding = client.application.extensions["orchord"].holding
    assert holding.take()
    assert holding.take()


def test_a_deleted_run_ends_the_stream(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    instance = open_instance(unfinished=True)
    client = client_of(instance)
    run = instance.launch(LaunchRequest(job_name="numbers"))[0]
    answer = client.get(f"{RUNS}/{run.run_id}/events?follow=1&types=STEP_START", buffered=False)
    instance.cancel(run.run_id)
    instance.delete_run(run.run_id)
    assert messages(answer.text) == []
    answer.close()


def test_what_a_step_printed_is_read_in_pieces(client: FlaskClient, instance: OrchordInstance, run_id: str) -> None:
    text = "grüße " * 3
    logs = instance.compute_log_manager
    with logs.capture(run_id, "load", 1):
        print(text, flush=True)
    read, offset = "", 0
    for _ in range(50):
        piece = body(client.get(f"{RUNS}/{run_id}/logs/load?offset={offset}&limit=4"))
        assert piece["stream"] == "stdout"
        read += piece["text"]
        offset = piece["next_offset"]
        if piece["is_complete"]:
            break
    assert read == f"{text}\n"
    assert body(client.get(f"{RUNS}/{run_id}/logs/load?stream=stderr&attempt=1"))["text"] == ""


@pytest.mark.parametrize("printed", [b"", b"killed while it prin"])
def test_the_logs_of_an_ended_attempt_are_complete_though_no_end_was_marked(
    client: FlaskClient, instance: OrchordInstance, run_id: str, printed: bytes
) -> None:
    with instance.compute_log_manager.capture(run_id, "load", 1):
        os.write(1, printed)
    for path in instance.home.glob("compute_logs/*/*.out"):
        path.chmod(0o644)
    first = body(client.get(f"{RUNS}/{run_id}/logs/load?limit=8"))
    assert first["is_complete"] == (not printed)
    whole = body(client.get(f"{RUNS}/{run_id}/logs/load"))
    assert (whole["text"], whole["is_complete"]) == (printed.decode(), True)


def test_the_logs_of_a_running_attempt_are_not_complete(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    instance = open_instance(unfinished=True)
    run_id = instance.launch(LaunchRequest(job_name="numbers"))[0].run_id
    claim = Claim(run_id, "load", attempt=1, token="t", worker_id="w", at=utc_now())
    assert instance.storage.attempts.claim(claim).claimed
    answer = body(client_of(instance).get(f"{RUNS}/{run_id}/logs/load"))
    assert (answer["text"], answer["is_complete"]) == ("", False)


@pytest.mark.parametrize("path", ["nothing", "..%2F..%2Fetc", "load?attempt=2"])
def test_logs_of_what_did_not_run_are_404(client: FlaskClient, run_id: str, path: str) -> None:
    assert client.get(f"{RUNS}/{run_id}/logs/{path}").status_code == 404


@pytest.mark.parametrize("query", ["stream=stdin", "attempt=0", "offset=-1", f"offset={2**63}", "limit=1"])
def test_wrong_log_queries_are_422(client: FlaskClient, run_id: str, query: str) -> None:
    assert client.get(f"{RUNS}/{run_id}/logs/load?{query}").status_code == 422


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"abc", "abc"),
        ("aü".encode(), "aü"),
        ("aü".encode()[:-1], "a"),
        ("a€".encode()[:-2], "a"),
        ("a😀".encode()[:-1], "a"),
        ("a😀".encode(), "a😀"),
    ],
)
def test_text_is_not_cut_within_a_character(data: bytes, text: str) -> None:
    assert decoded(data, is_last=False) == (text, len(text.encode()))


def test_bytes_that_are_no_text_do_not_hold_the_reader_up() -> None:
    assert decoded(b"a\xff\x80", is_last=False) == ("a\ufffd\ufffd", 3)
    assert decoded("aü".encode()[:-1], is_last=True) == ("a\ufffd", 2)
