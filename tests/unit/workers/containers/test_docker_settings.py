"""Settings of Docker containers, and what the engine's words become."""

from __future__ import annotations

import threading

import pytest

from orchord.errors import InstanceConfigError
from orchord_workers.containers.docker import signing_in
from orchord_workers.containers.docker_kills import Kills
from orchord_workers.containers.docker_settings import docker_settings
from orchord_workers.containers.docker_states import UNSTARTED_SECONDS, Unstarted, state_of, state_of_event
from orchord_workers.containers.platform import ContainerState, Phase, PlatformError
from orchord_workers.launchers.docker import mistakes_of


def test_dagsters_keys_become_options_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED_ON", "from here")
    found = docker_settings(
        [
            {"image": "a", "network": "one", "env_vars": ["PASSED_ON", "GIVEN=x=y"]},
            {"networks": ["two"], "container_kwargs": {"mem_limit": "1g", "environment": {"MORE": 1}}},
        ]
    )
    assert found.image == "a"
    assert found.networks == ("one", "two")
    assert found.environment == {"PASSED_ON": "from here", "GIVEN": "x=y", "MORE": "1"}
    assert found.options == {"mem_limit": "1g"}
    assert not found.is_kept
    assert not found.names_home


def test_auto_remove_is_orchords_own_matter_and_false_keeps_the_container() -> None:
    assert docker_settings([{"container_kwargs": {"auto_remove": False}}]).is_kept
    assert docker_settings([{"container_kwargs": {"auto_remove": True}}]).options == {}


def test_all_mistakes_of_settings_are_told_at_once() -> None:
    with pytest.raises(PlatformError) as raised:
        docker_settings([{"env_vars": ["NOT_SET_ANYWHERE"], "container_kwargs": {"name": "mine"}}])
    assert str(raised.value) == (
        "The settings for Docker have mistakes: container_kwargs.name: Orchord sets it. Leave it out. env_vars: "
        "NOT_SET_ANYWHERE is not set where the launcher worker runs. Set it, or give NOT_SET_ANYWHERE=value."
    )


def test_the_launchers_config_is_checked_when_it_is_read() -> None:
    config = {"image": 1, "env_vars": "A=1", "registry": {"user": "me"}, "network": "a", "networks": ["b"]}
    assert mistakes_of(config) == [
        "image: found int, expected text.",
        "env_vars: found str, expected a list.",
        "registry: unknown key 'user'. Known: url, username, password.",
        "registry: the key 'url' is missing.",
        "network and networks are both given. Keep networks.",
    ]
    assert mistakes_of({"image": "a", "env_vars": ["A=1"], "registry": {"url": "u"}, "network": None}) == []
    assert issubclass(InstanceConfigError, Exception)


def test_an_inspected_container_that_was_killed_for_memory_says_so() -> None:
    inspected = {
        "Name": "/box",
        "State": {"Status": "exited", "OOMKilled": True, "ExitCode": 137, "Error": ""},
        "Config": {"Labels": {"orchord/run_id": "r"}},
        "HostConfig": {"Memory": 1024},
    }
    state = state_of(inspected)
    assert (state.phase, state.exit_code, state.out_of_memory) == (Phase.ENDED, 137, True)
    assert (state.reason, state.memory_limit_bytes) == ("OOMKilled", 1024)


def test_a_kill_inside_a_container_that_ended_well_is_no_end_by_memory() -> None:
    said = {"Status": "exited", "OOMKilled": True, "ExitCode": 0}
    assert not state_of({"Name": "/box", "State": said, "Config": {}}).out_of_memory


def test_an_event_of_an_end_has_the_exit_code_and_the_labels() -> None:
    attributes = {"name": "box", "image": "i", "exitCode": "3", "orchord/run_id": "r"}
    state = state_of_event({"Action": "die", "Actor": {"Attributes": attributes}})
    assert (state.phase, state.exit_code, state.labels) == (Phase.ENDED, 3, {"orchord/run_id": "r"})


def test_a_kill_comes_when_the_grace_is_over_and_not_for_what_has_ended() -> None:
    killed: list[str] = []
    done = threading.Event()

    def kill(name: str) -> None:
        killed.append(name)
        done.set()

    kills = Kills(kill)
    kills.later("ends by itself", 0.05)
    kills.later("stays", 0.1)
    kills.forget("ends by itself")
    assert done.wait(10)
    kills.close()
    assert killed == ["stays"]


def test_a_container_that_nobody_starts_reads_as_ended_after_a_while() -> None:
    now = [0.0]
    unstarted = Unstarted(lambda: now[0])
    made = ContainerState("made", {}, Phase.PENDING, is_kept=True)
    runs = ContainerState("runs", {}, Phase.RUNNING)
    assert unstarted.judged([made, runs]) == [made, runs]
    now[0] = UNSTARTED_SECONDS - 1
    assert unstarted.judged([made, runs]) == [made, runs]
    now[0] = UNSTARTED_SECONDS
    (forgotten, untouched) = unstarted.judged([made, runs])
    assert (forgotten.phase, forgotten.exit_code, forgotten.is_kept) == (Phase.ENDED, None, False)
    assert forgotten.reason == "it was made, but never started"
    assert untouched == runs
    assert unstarted.judged([runs]) == [runs]
    assert unstarted.judged([made]) == [made], "another of the same name has its own time"


@pytest.mark.parametrize(
    ("image", "url", "is_told"),
    [
        ("reg.example.com/team/app:1", "reg.example.com", True),
        ("reg.example.com:5000/app", "https://reg.example.com:5000/v2/", True),
        ("team/app:1", "https://index.docker.io/v1/", True),
        ("team/app:1", "docker.io", True),
        ("team/app:1", "reg.example.com", False),
        ("elsewhere.com/team/app@sha256:ab", "reg.example.com", False),
    ],
)
def test_a_password_is_told_to_its_own_registry_alone(image: str, url: str, is_told: bool) -> None:
    own = {"username": "ann", "password": "secret"}
    assert signing_in(image, {"url": url, **own}) == (own if is_told else {})
    assert signing_in(image, {}) == {}
