"""The platform port on a real Docker Engine: what starts, ends, is stopped, and how a lost stream is made up for."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from orchord.testing import eventually
from orchord_workers.containers.docker import DockerPlatform
from orchord_workers.containers.platform import (
    ATTEMPT_LABEL,
    OWNER_LABEL,
    RUN_LABEL,
    STEP_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    PlatformError,
)

IMAGE = "python:3.11-slim"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


class Engine:
    """A platform that is watched, with containers of an owner of its own."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.owner = uuid.uuid4().hex[:12]
        self.platform = DockerPlatform({})
        self.told: list[ContainerState] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.platform.watch, args=(self.owner, self.told.append, self.stopped))
        self.thread.start()

    def start(self, script: str, *layers: dict[str, Any], name: str = "", **options: Any) -> str:
        name = name or f"orchord-test-{uuid.uuid4().hex[:8]}"
        labels = {OWNER_LABEL: self.owner, RUN_LABEL: "r1", STEP_LABEL: "sum[a]", ATTEMPT_LABEL: "2"}
        options = {"image": IMAGE, "command": ["sh", "-c", script], **options}
        self.platform.start(ContainerSpec(name=name, labels=labels, environment={"A": "1"}, layers=layers, **options))
        return name

    def end_of(self, name: str, phase: Phase = Phase.ENDED) -> ContainerState:
        found: list[ContainerState] = []

        def is_told() -> bool:
            found[:] = [state for state in list(self.told) if state.name == name and state.phase is phase]
            return bool(found)

        eventually(is_told, deadline_seconds=60)
        return found[-1]

    def close(self) -> None:
        self.stopped.set()
        self.platform.close()
        self.thread.join(timeout=10)
        for one in self.client.containers.list(
            all=True, filters={"label": f"{OWNER_LABEL}={self.owner}"}, ignore_removed=True
        ):
            one.remove(force=True, v=True)


@pytest.fixture
def engine(docker_engine: docker.DockerClient) -> Iterator[Engine]:
    with contextlib.closing(Engine(docker_engine)) as found:
        yield found


def test_a_container_that_ends_is_told_of_with_its_exit_code_and_labels(engine: Engine) -> None:
    name = engine.start('echo "A is $A"; exit 3')
    state = engine.end_of(name)
    assert (state.exit_code, state.out_of_memory, state.is_kept) == (3, False, False)
    assert (state.labels[STEP_LABEL], state.labels[ATTEMPT_LABEL]) == ("sum[a]", "2")
    assert engine.platform.tail(name, 5) == "A is 1\n"


def test_a_second_start_of_a_name_changes_nothing(engine: Engine) -> None:
    name = engine.start("sleep 60")
    first = engine.client.containers.get(name).id
    assert engine.start("exit 1", name=name) == name
    assert engine.client.containers.get(name).id == first


def test_a_container_that_has_ended_is_not_run_again_under_its_name(engine: Engine) -> None:
    name = engine.start("exit 0")
    engine.end_of(name)
    engine.start("sleep 60", name=name)
    assert engine.client.containers.get(name).status == "exited"


def test_a_start_that_was_broken_off_is_finished_by_the_next(engine: Engine) -> None:
    name = f"orchord-test-{uuid.uuid4().hex[:8]}"
    engine.client.containers.create(IMAGE, ["sh", "-c", "exit 4"], name=name, labels={OWNER_LABEL: engine.owner})
    engine.start("exit 5", name=name)
    assert engine.end_of(name).exit_code == 4


def test_a_kill_for_memory_is_told_apart(engine: Engine) -> None:
    limit = {"container_kwargs": {"mem_limit": "30m", "memswap_limit": "30m"}}
    name = engine.start("python3 -c 'x = bytearray(200 * 2**20)'", limit)
    state = engine.end_of(name)
    assert (state.out_of_memory, state.reason, state.memory_limit_bytes) == (True, "OOMKilled", 30 * 2**20)


def test_a_container_that_is_asked_to_stop_may_end_by_itself(engine: Engine) -> None:
    name = engine.start("trap 'exit 9' TERM; while :; do sleep 0.1; done")
    engine.end_of(name, Phase.RUNNING)
    engine.platform.stop(name, 30)
    assert engine.end_of(name).exit_code == 9


def test_a_container_that_does_not_heed_is_killed_after_its_grace(engine: Engine) -> None:
    name = engine.start("trap '' TERM; while :; do sleep 0.1; done")
    engine.end_of(name, Phase.RUNNING)
    engine.platform.stop(name, 0.5)
    assert engine.end_of(name).exit_code == 137


def test_what_is_not_there_is_stopped_and_removed_without_a_word(engine: Engine) -> None:
    engine.platform.stop("orchord-test-nobody", 1)
    engine.platform.remove("orchord-test-nobody")
    assert engine.platform.tail("orchord-test-nobody", 5) == ""


def test_a_container_that_somebody_removes_is_told_of_as_gone(engine: Engine) -> None:
    name = engine.start("sleep 60")
    engine.client.containers.get(name).remove(force=True)
    engine.end_of(name, Phase.GONE)


def test_the_list_holds_what_runs_and_what_has_ended_of_one_owner(engine: Engine) -> None:
    ended, runs = engine.start("exit 2"), engine.start("sleep 60")
    engine.end_of(ended)
    found = {state.name: (state.phase, state.exit_code) for state in engine.platform.list(engine.owner)}
    assert found == {ended: (Phase.ENDED, 2), runs: (Phase.RUNNING, None)}
    assert engine.platform.list("somebody-else") == []


def test_what_happens_while_the_stream_of_events_is_lost_is_told_of_afterwards(engine: Engine) -> None:
    ends, goes = engine.start("sleep 2; exit 6"), engine.start("sleep 60")
    engine.end_of(goes, Phase.RUNNING)
    # As when the engine is restarted: the stream ends, and comes back a second later.
    engine.platform._stream.close()
    engine.client.containers.get(goes).remove(force=True)
    assert engine.end_of(ends).exit_code == 6
    engine.end_of(goes, Phase.GONE)


def test_an_image_without_a_home_is_given_the_instance_file(engine: Engine) -> None:
    text = "storage: {postgres: {postgres_url: {env: ADDRESS}}}\n"
    name = engine.start('cat "$ORCHORD_HOME/orchord.yaml"; touch "$ORCHORD_HOME/x"', instance_file=text)
    assert engine.end_of(name).exit_code == 0
    assert engine.platform.tail(name, 5) == text


def test_settings_that_name_a_home_are_left_alone(engine: Engine) -> None:
    given = {"env_vars": ["DAGSTER_HOME=/mine"]}
    name = engine.start('test -z "$ORCHORD_HOME" && test "$DAGSTER_HOME" = /mine', given, instance_file="a: 1")
    assert engine.end_of(name).exit_code == 0


def test_auto_remove_false_keeps_the_container(engine: Engine) -> None:
    name = engine.start("exit 0", {"container_kwargs": {"auto_remove": False}})
    assert engine.end_of(name).is_kept


@pytest.mark.parametrize(
    ("options", "layer", "words"),
    [
        ({"image": None}, {}, "no image is named. Give `image` in the config"),
        ({"image": "no-such/image:1"}, {}, "image no-such/image:1 is not here, and cannot be pulled"),
        ({"command": ["no-such-program"]}, {}, "no-such-program"),
        ({}, {"network": "no-such-network"}, "no-such-network"),
        ({}, {"container_kwargs": {"no_such_option": 1}}, "no_such_option"),
    ],
    ids=["no image", "image not there", "no such program", "no such network", "no such option"],
)
def test_what_the_engine_refuses_is_told_and_leaves_nothing(
    engine: Engine, options: dict[str, Any], layer: dict[str, Any], words: str
) -> None:
    with pytest.raises(PlatformError) as raised:
        engine.start("true", layer, **options)
    assert words in str(raised.value)
    assert not raised.value.is_passing
    assert engine.platform.list(engine.owner) == []


def test_an_engine_that_is_away_is_a_passing_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with contextlib.closing(DockerPlatform({})) as platform:
        with pytest.raises(
            PlatformError, match="The Docker Engine cannot be reached: .* Start it, or correct DOCKER_HOST"
        ) as raised:
            platform.start(ContainerSpec(name="c", command=["true"], labels={}, image=IMAGE))
    assert raised.value.is_passing
