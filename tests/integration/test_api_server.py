"""The API over real HTTP: a gunicorn process, on SQLite and on Postgres, with runs that a fake launcher ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from orchord.definitions.config.types import ShapeType
from orchord.events import Event, EventType, utc_now
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.snapshot import GraphSnapshot, JobSnapshot, LocationSnapshot
from orchord.storage import Storage
from orchord.testing import eventually

PROGRAM = """
import functools, pathlib, sys
from orchord.api import server
from orchord.instance import OrchordInstance
from orchord.settings import Settings
settings = Settings(home=pathlib.Path(sys.argv[1]), home_is_given=True)
server.SOCKET_TIMEOUT_SECONDS = 1.0
server.serve(functools.partial(OrchordInstance.from_home, settings), port=0, threads=int(sys.argv[2]),
      migrate=sys.argv[3] == "migrate", max_body_bytes=100_000, on_ready=lambda url: print(url, flush=True))
"""


class Served:
    """A server process: its URL, the instance's storage as this process sees it, and a client."""

    def __init__(self, process: subprocess.Popen[str], url: str, storage: Storage) -> None:
        self.process = process
        self.storage = storage
        self.client = httpx.Client(base_url=url, timeout=30)

    def launch(self, query: str = "", **fields: object) -> Any:
        answer = self.client.post(f"/api/v1/runs{query}", json={"job": "pair", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()


def location() -> LocationSnapshot:
    steps = (
        Step("one", "one", outputs=(StepOutput("result"),)),
        Step("two", "two", inputs=(StepInput("one", (OutputRef("one", "result"),)),), outputs=(StepOutput("result"),)),
    )
    job = JobSnapshot("pair", ExecutionPlan("pair", steps), GraphSnapshot(), ShapeType("job", {}, permissive=True))
    return LocationSnapshot("shop", jobs=(job,))


Serve = Callable[..., contextlib.AbstractContextManager[Served]]


@contextlib.contextmanager
def serving(
    home: Path, storage_url: str, *, threads: int = 8, migrate: bool = True, **launcher: object
) -> Iterator[Served]:
    spec = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher", "config": launcher}
    section = {"postgres": {"postgres_url": storage_url}} if "postgresql" in storage_url else None
    document = {"run_launcher": spec} | ({"storage": section} if section else {})
    (home / "orchord.yaml").write_text(yaml.safe_dump(document))
    storage = Storage.open(storage_url)
    if migrate:
        storage.migrate()
        storage.locations.put(location())
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(home), str(threads), "migrate" if migrate else "no"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    served = Served(process, process.stdout.readline().strip(), storage)
    try:
        yield served
    finally:
        served.client.close()
        storage.dispose()
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stdout.close()
    assert process.returncode == 0


@pytest.fixture(params=["sqlite", "postgres"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Starts a server over this test's own database; keywords as of ``serving``."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path / 'orchord.db'}"
    return lambda **options: serving(tmp_path, url, **options)


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line[6:])


def test_a_run_is_launched_awaited_and_read(serve: Serve) -> None:
    with serve() as served:
        run = served.launch("?wait_seconds=20", tags={"a": "b"})
        assert run["status"] == "SUCCESS"
        read = served.client.get(f"/api/v1/runs/{run['run_id']}").json()
        assert [step["status"] for step in read["steps"]] == ["SUCCESS", "SUCCESS"]
        events = served.client.get(f"/api/v1/runs/{run['run_id']}/events").json()["items"]
        assert (events[0]["type"], events[-1]["type"]) == ("RUN_STARTING", "RUN_SUCCESS")
        assert served.client.delete(f"/api/v1/runs/{run['run_id']}").status_code == 204


def test_one_idempotency_key_makes_one_run_whoever_is_first(serve: Serve) -> None:
    with serve() as served, ThreadPoolExecutor(16) as pool:

        def post(_: int) -> tuple[int, str]:
            headers = {"Idempotency-Key": "only-one"}
            answer = served.client.post("/api/v1/runs?wait_seconds=5", json={"job": "pair"}, headers=headers)
            return answer.status_code, answer.json()["run_id"]

        answers = list(pool.map(post, range(16)))
        assert sorted(status for status, _ in answers) == [200] * 15 + [201]
        assert len({run_id for _, run_id in answers}) == 1
        assert len(served.client.get("/api/v1/runs").json()["items"]) == 1


def test_many_clients_at_once_each_get_their_run(serve: Serve) -> None:
    with serve() as served, ThreadPoolExecutor(24) as pool:
        runs = list(pool.map(lambda number: served.launch("?wait_seconds=20", tags={"n": str(number)}), range(100)))
        assert len({run["run_id"] for run in runs}) == 100
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = served.client.get(
                "/api/v1/runs", params={"limit": 7, **({"cursor": cursor} if cursor else {})}
            ).json()
            seen += [run["run_id"] for run in page["items"]]
            cursor = page["next_cursor"]
        assert sorted(seen) == sorted(run["run_id"] for run in runs)
        assert len(seen) == 100


def test_a_follower_gets_every_event_of_many_writers_once_and_in_order(serve: Serve) -> None:
    with serve(unfinished=True) as served:
        run_id = served.launch()["run_id"]
        writers, each = 6, 30

        def write(writer: int) -> None:
            for number in range(each):
                event = Event(EventType.LOG, utc_now(), f"{writer}:{number}", step_key="one")
                served.storage.attempts.append_events(run_id, [event])

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
        with served.client.stream("GET", f"/api/v1/runs/{run_id}/events?follow=1") as stream:
            for thread in threads:
                thread.start()
            lines, seen = stream.iter_lines(), []
            for message in messages(lines):
                seen.append(message)
                if sum(one["type"] == "LOG" for one in seen) == writers * each:
                    served.client.post(f"/api/v1/runs/{run_id}/cancel")
        for thread in threads:
            thread.join()
        ids = [one["id"] for one in seen]
        assert ids == sorted(set(ids))
        assert len({one["message"] for one in seen if one["type"] == "LOG"}) == writers * each
        assert seen[-1]["type"] == "RUN_CANCELED"


def test_a_follower_that_reconnects_misses_nothing(serve: Serve) -> None:
    with serve(unfinished=True) as served:
        run_id = served.launch()["run_id"]
        url = f"/api/v1/runs/{run_id}/events?follow=1"
        with served.client.stream("GET", url) as stream:
            first = next(messages(stream.iter_lines()))
        served.client.post(f"/api/v1/runs/{run_id}/cancel")
        with served.client.stream("GET", url, headers={"Last-Event-ID": str(first["id"])}) as stream:
            rest = list(messages(stream.iter_lines()))
        whole = served.client.get(f"/api/v1/runs/{run_id}/events").json()["items"]
        assert [first, *rest] == whole
        last = {"Last-Event-ID": str(whole[-1]["id"])}
        assert served.client.get(url, headers=last).status_code == 204


def test_clients_that_wait_leave_threads_for_the_others(serve: Serve) -> None:
    with serve(unfinished=True, threads=4) as served:
        run_id = served.launch()["run_id"]
        url = f"/api/v1/runs/{run_id}/events?follow=1"
        with served.client.stream("GET", url) as one, served.client.stream("GET", url) as two:
            next(messages(one.iter_lines()))
            next(messages(two.iter_lines()))
            assert served.client.get("/livez").status_code == 200
            assert served.client.get(url).status_code == 503
            assert served.launch("?wait_seconds=60")["status"] == "STARTING"
        # The places of those that went are found free once the server has noticed.
        served.client.post(f"/api/v1/runs/{run_id}/cancel")
        eventually(lambda: served.client.get(url).status_code == 200, 20)


def test_a_server_that_is_told_to_stop_answers_those_that_wait(serve: Serve) -> None:
    with serve(unfinished=True) as served, ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(served.launch, "?wait_seconds=120")
        run = eventually(lambda: served.client.get("/api/v1/runs").json()["items"])[0]
        following = pool.submit(served.client.get, f"/api/v1/runs/{run['run_id']}/events?follow=1")
        eventually(lambda: served.client.get("/livez").status_code == 200)
        served.process.send_signal(signal.SIGTERM)
        assert waiting.result(20)["status"] == "STARTING"
        with contextlib.suppress(httpx.HTTPError):
            assert following.result(20).status_code in {200, 503}
        assert served.process.wait(20) == 0


def test_a_body_over_the_limit_is_refused_also_in_pieces(serve: Serve) -> None:
    with serve() as served:
        large = b'{"job": "' + b"x" * 150_000 + b'"}'
        headers = {"Content-Type": "application/json"}
        for content in (large, iter([large[:70_000], large[70_000:]])):
            answer = served.client.post("/api/v1/runs", content=content, headers=headers)
            assert answer.status_code == 413
            assert answer.headers["Content-Type"] == "application/problem+json"
        assert served.client.get("/livez").status_code == 200


def test_a_client_that_stops_sending_does_not_hold_a_thread(serve: Serve) -> None:
    with serve() as served:
        url = served.client.base_url
        with socket.create_connection((url.host, url.port or 80), timeout=20) as stalled:
            head = (
                b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
            )
            stalled.sendall(head + b'{"job":')
            assert stalled.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_database_that_is_away_is_503_and_the_server_lives(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:hunter2@127.0.0.1:{taken.getsockname()[1]}/none"
        with serving(tmp_path, url, migrate=False) as served:
            for answer in (
                served.client.post("/api/v1/runs", json={"job": "pair"}),
                served.client.get("/api/v1/runs"),
                served.client.get("/readyz"),
            ):
                assert answer.status_code == 503
                assert answer.headers["Retry-After"] == "5"
                assert "127.0.0.1" in answer.text
                assert "hunter2" not in answer.text
            assert served.client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"storag": {}}, "unknown section 'storag'. Did you mean 'storage'?"),
        ({"run_launcher": {"module": "nowhere.at_all", "class": "Launcher"}}, "nowhere.at_all"),
    ],
)
def test_a_server_that_cannot_start_says_why_and_ends(tmp_path: Path, document: dict[str, Any], said: str) -> None:
    (tmp_path / "orchord.yaml").write_text(yaml.safe_dump(document))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), "4", "no"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert said in ended.stderr
