"""Tasks of ECS through moto's API, whose containers a Docker Engine really runs: started once, watched, and stopped."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from orchord.testing import eventually
from orchord_workers.containers.ecs import RUN_TAGS_KEY, EcsPlatform
from orchord_workers.containers.platform import (
    ATTEMPT_LABEL,
    JOB_LABEL,
    LOCATION_LABEL,
    OWNER_LABEL,
    RUN_LABEL,
    STEP_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    PlatformError,
)
from services.ecs import ACCOUNT, REGION, EcsCluster

pytestmark = [pytest.mark.ecs, pytest.mark.slow]

IMAGE = "python:3.11-slim"
OWNER = "owner-1"
QUICKLY = 60.0


def spec(
    name: str, code: str = "pass", *, layers: Sequence[Any] = (), image: str | None = IMAGE, **labels: str
) -> ContainerSpec:
    return ContainerSpec(
        name=name,
        command=["python3", "-c", code],
        labels={
            OWNER_LABEL: OWNER,
            RUN_LABEL: "run-1",
            JOB_LABEL: "numbers",
            LOCATION_LABEL: "here",
            **labels,
        },
        environment={"ORCHORD_CONTAINER_NAME": name},
        image=image,
        layers=layers,
    )


class Watched:
    """A platform with a thread that watches, and what it told."""

    def __init__(self, platform: EcsPlatform) -> None:
        self.platform = platform
        self.told: list[ContainerState] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=platform.watch, args=(OWNER, self.told.append, self.stopped))
        self.thread.start()

    def last(self, name: str) -> ContainerState | None:
        return next((state for state in reversed(self.told) if state.name == name), None)

    def end_of(self, name: str) -> ContainerState:
        def ended() -> bool:
            state = self.last(name)
            return state is not None and state.phase in (Phase.ENDED, Phase.GONE)

        eventually(ended, QUICKLY)
        found = self.last(name)
        assert found is not None
        return found

    def is_running(self, name: str) -> bool:
        state = self.last(name)
        return state is not None and state.phase is Phase.RUNNING

    def close(self) -> None:
        self.stopped.set()
        self.platform.close()
        self.thread.join(20)


@pytest.fixture
def layers(ecs: EcsCluster) -> list[dict[str, Any]]:
    return [ecs.config]


@pytest.fixture
def platform(ecs: EcsCluster) -> Iterator[EcsPlatform]:
    made = EcsPlatform(ecs.config)
    yield made
    made.close()


@pytest.fixture
def watched(platform: EcsPlatform) -> Iterator[Watched]:
    made = Watched(platform)
    yield made
    made.close()


@contextlib.contextmanager
def client_of(ecs: EcsCluster, service: str = "ecs") -> Iterator[Any]:
    import boto3

    with contextlib.closing(boto3.client(service, endpoint_url=ecs.url, region_name=REGION)) as client:
        yield client


def only_task(ecs: EcsCluster) -> dict[str, Any]:
    with client_of(ecs) as client:
        arns = client.list_tasks(cluster=ecs.name)["taskArns"]
        [task] = client.describe_tasks(cluster=ecs.name, tasks=arns, include=["TAGS"])["tasks"]
        return dict(task)


def test_a_tasks_exit_code_and_labels_are_told(watched: Watched, layers: list[dict[str, Any]]) -> None:
    strange = "graph.op[a b]=ä~%"
    labels = {STEP_LABEL: strange, ATTEMPT_LABEL: "2", "orchord/long": "x" * 600}
    watched.platform.start(spec("one", "import sys; sys.exit(7)", layers=layers, **labels))
    ended = watched.end_of("one")
    assert (ended.phase, ended.exit_code, ended.out_of_memory, ended.cannot_start) == (Phase.ENDED, 7, False, False)
    assert ended.labels == spec("one", **labels).labels
    assert "Essential container" in ended.reason


def test_a_second_start_of_a_name_starts_nothing_not_even_by_another_launcher_worker(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    wanted = spec("one", "import time; time.sleep(60)", layers=layers)
    platform.start(wanted)
    platform.start(wanted)
    with contextlib.closing(EcsPlatform(ecs.config)) as other:
        other.start(wanted)
    assert ecs.tasks.requests.count("RunTask") == 1


def test_a_stopped_task_ends(watched: Watched, layers: list[dict[str, Any]]) -> None:
    watched.platform.start(spec("one", "import time; time.sleep(60)", layers=layers))
    eventually(lambda: watched.is_running("one"), QUICKLY)
    watched.platform.stop("one", 5)
    ended = watched.end_of("one")
    assert ended.exit_code == 143
    assert "Stopped by Orchord" in ended.reason
    watched.platform.stop("never started", 5)


def test_a_task_that_is_killed_for_its_memory_is_told_as_such(watched: Watched, layers: list[dict[str, Any]]) -> None:
    greedy = "data = bytearray(256 * 2**20); print(sum(data[::4096]))"
    watched.platform.start(spec("one", greedy, layers=[*layers, {"ecs/memory": "64"}]))
    ended = watched.end_of("one")
    assert ended.out_of_memory is True
    assert ended.exit_code == 137


def test_an_image_that_cannot_be_had_is_told_as_cannot_start(watched: Watched, layers: list[dict[str, Any]]) -> None:
    watched.platform.start(spec("one", layers=layers, image="nobody/has-this:1"))
    ended = watched.end_of("one")
    assert ended.cannot_start is True
    assert ended.exit_code is None
    assert "CannotPullContainerError" in ended.reason
    assert "nobody/has-this" in ended.reason


def test_a_removed_task_is_told_of_no_more(watched: Watched, layers: list[dict[str, Any]]) -> None:
    watched.platform.start(spec("one", layers=layers))
    watched.end_of("one")
    watched.platform.remove("one")
    watched.platform.remove("never started")
    assert watched.platform.list(OWNER) == []
    assert watched.platform.list("somebody else") == []


def test_tasks_that_ecs_forgets_are_gone(ecs: EcsCluster, watched: Watched, layers: list[dict[str, Any]]) -> None:
    watched.platform.start(spec("one", "import time; time.sleep(60)", layers=layers))
    eventually(lambda: watched.is_running("one"), QUICKLY)
    ecs.tasks.forget_all()
    assert watched.end_of("one").phase is Phase.GONE


def test_a_launcher_worker_that_begins_anew_is_told_of_what_runs_and_of_what_has_ended(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    platform.start(spec("runs", "import time; time.sleep(60)", layers=layers))
    platform.start(spec("ended", "import sys; sys.exit(3)", layers=layers))

    def both() -> bool:
        states = {state.name: state for state in platform.list(OWNER)}
        return states["runs"].phase is Phase.RUNNING and states["ended"].phase is Phase.ENDED

    eventually(both, QUICKLY)
    again = Watched(EcsPlatform(ecs.config))
    try:
        assert again.end_of("ended").exit_code == 3
        eventually(lambda: again.is_running("runs"), QUICKLY)
    finally:
        again.close()


@pytest.mark.timeout(240)
def test_a_hundred_and_twenty_tasks_are_watched_by_one_thread_two_requests_at_a_time(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What they do is of no matter here, and a hundred containers at once are much for a small machine.
    monkeypatch.setattr(ecs.tasks, "_carry_out", lambda task: setattr(task, "last_status", "RUNNING"))
    for number in range(120):
        platform.start(spec(f"one-{number}", layers=layers))
    watched = Watched(platform)
    try:
        eventually(lambda: len({state.name for state in watched.told}) == 120, QUICKLY)
        before = len(ecs.tasks.requests)
        eventually(lambda: len(ecs.tasks.requests) >= before + 4, QUICKLY)
        assert set(ecs.tasks.requests[before:]) == {"DescribeTasks"}
        assert len(watched.told) == 120
    finally:
        watched.close()


def test_a_task_definition_is_registered_once_for_all_that_need_the_same(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    platform.start(spec("one", layers=layers, **{JOB_LABEL: "registered once"}))
    with contextlib.closing(EcsPlatform(ecs.config)) as other:
        other.start(spec("two", layers=layers, **{JOB_LABEL: "registered once"}))
        other.start(spec("three", layers=[*layers, {"env_vars": ["A=1"]}], **{JOB_LABEL: "registered once"}))
    with client_of(ecs) as client:
        found = client.list_task_definitions()["taskDefinitionArns"]
    assert len([arn for arn in found if "run_here_registered-once_" in arn]) == 2


def test_settings_reach_the_request(ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]) -> None:
    launcher = {
        **layers[0],
        "task_definition": {
            "log_group": "orchord",
            "task_role_arn": "arn:aws:iam::123456789012:role/task",
            "execution_role_arn": "arn:aws:iam::123456789012:role/execution",
            "volumes": [{"name": "scratch", "host": {}}],
            "mount_points": [{"sourceVolume": "scratch", "containerPath": "/scratch"}],
            "runtime_platform": {"operatingSystemFamily": "LINUX"},
        },
        "container_name": "work",
        "env_vars": ["PLAIN=value"],
        "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token"}],
        "run_resources": {"cpu": "512", "memory": "1024", "ephemeral_storage": 30},
        "run_ecs_tags": [{"key": "team", "value": "data"}],
        "propagate_tags": {"allow_list": ["dagster/partition"]},
        "task_definition_prefix": "mine",
    }
    of_run = {"ecs/memory": "2048", "ecs/task_overrides": json.dumps({"taskRoleArn": "arn:other"})}
    tags = {"dagster/partition": "2020-01-01", "not/told": "x"}
    platform.start(
        spec("one", layers=[launcher, of_run, {RUN_TAGS_KEY: list(tags.items())}], **{JOB_LABEL: "all settings"})
    )
    task = only_task(ecs)
    [override] = task["overrides"]["containerOverrides"]
    assert override["name"] == "work"
    assert (override["cpu"], override["memory"]) == (512, 2048)
    assert {"name": "ORCHORD_CONTAINER_NAME", "value": "one"} in override["environment"]
    assert task["overrides"]["memory"] == "2048"
    assert task["overrides"]["taskRoleArn"] == "arn:other"
    assert task["overrides"]["ephemeralStorage"] == {"sizeInGiB": 30}
    borne = {tag["key"]: tag["value"] for tag in task["tags"]}
    assert borne["team"] == "data"
    assert borne["dagster/partition"] == "2020-01-01"
    assert "not/told" not in borne
    with client_of(ecs) as client:
        made = client.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    assert made["family"].startswith("mine_here_all-settings_")
    assert made["taskRoleArn"].endswith("role/task")
    assert made["executionRoleArn"].endswith("role/execution")
    [container] = made["containerDefinitions"]
    assert container["environment"] == [{"name": "PLAIN", "value": "value"}]
    assert container["secrets"][0]["name"] == "TOKEN"
    assert container["mountPoints"][0]["containerPath"] == "/scratch"
    assert container["logConfiguration"]["options"]["awslogs-group"] == "orchord"


def test_a_task_definition_that_is_there_is_used_with_variables_laid_over_it(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    with client_of(ecs) as client:
        made = client.register_task_definition(
            family="made-by-hand",
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": "run", "image": IMAGE, "memory": 256}],
        )["taskDefinition"]
    wanted = {**layers[0], "task_definition": "made-by-hand", "env_vars": ["PLAIN=value"]}
    platform.start(spec("one", layers=[wanted], image=None))
    task = only_task(ecs)
    assert task["taskDefinitionArn"] == made["taskDefinitionArn"]
    assert {"name": "PLAIN", "value": "value"} in task["overrides"]["containerOverrides"][0]["environment"]


def test_secrets_with_the_tag_are_given_by_their_arns(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    with client_of(ecs, "secretsmanager") as client:
        secret = client.create_secret(Name="PASSWORD", SecretString="s", Tags=[{"Key": "my-tag", "Value": "x"}])
        keys = client.create_secret(Name="keys", SecretString=json.dumps({"USER_NAME": "u"}))
    wanted = {**layers[0], "secrets_tag": "my-tag", "secrets": [keys["ARN"]]}
    platform.start(spec("one", layers=[wanted], **{JOB_LABEL: "with secrets"}))
    with client_of(ecs) as client:
        definition = client.describe_task_definition(taskDefinition=only_task(ecs)["taskDefinitionArn"])
    assert definition["taskDefinition"]["containerDefinitions"][0]["secrets"] == [
        {"name": "PASSWORD", "valueFrom": secret["ARN"]},
        {"name": "USER_NAME", "valueFrom": f"{keys['ARN']}:USER_NAME::"},
    ]


def test_what_a_container_of_a_task_wrote_last_is_read_from_cloudwatch(
    ecs: EcsCluster, watched: Watched, layers: list[dict[str, Any]]
) -> None:
    wanted = {**layers[0], "task_definition": {"log_group": "tail-group"}}
    watched.platform.start(spec("one", layers=[wanted], **{JOB_LABEL: "logs"}))
    task = only_task(ecs)
    assert watched.platform.tail("one", 5) == ""
    with client_of(ecs) as client:
        definition = client.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    options = definition["containerDefinitions"][0]["logConfiguration"]["options"]
    stream = f"{options['awslogs-stream-prefix']}/run/{task['taskArn'].rpartition('/')[2]}"
    with client_of(ecs, "logs") as client:
        client.create_log_group(logGroupName="tail-group")
        client.create_log_stream(logGroupName="tail-group", logStreamName=stream)
        events = [{"timestamp": int(time.time() * 1000) + n, "message": f"line {n}"} for n in range(3)]
        client.put_log_events(logGroupName="tail-group", logStreamName=stream, logEvents=events)
    assert watched.platform.tail("one", 5) == "line 0\nline 1\nline 2"
    assert watched.platform.tail("never started", 5) == ""


@pytest.mark.parametrize(
    ("reason", "passes"), [("RESOURCE:MEMORY", True), ("AGENT", True), ("MISSING", False)], ids=str
)
def test_a_refusal_says_whether_it_may_pass(
    ecs: EcsCluster,
    platform: EcsPlatform,
    layers: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    passes: bool,
) -> None:
    from moto.ecs.responses import EC2ContainerServiceResponse

    answered = EC2ContainerServiceResponse.run_task

    def with_failures(self: Any) -> Any:
        result = answered(self)
        result.result["failures"] = [{"arn": "arn:x", "reason": reason}]
        return result

    monkeypatch.setattr(EC2ContainerServiceResponse, "run_task", with_failures)
    ecs.tasks.refusals.append({"reason": reason})
    with pytest.raises(PlatformError, match=f"ECS did not start one: {reason} arn:x") as caught:
        platform.start(spec("one", layers=layers))
    assert caught.value.is_passing is passes


def test_mistakes_of_settings_are_final_and_say_the_fix(
    ecs: EcsCluster, platform: EcsPlatform, layers: list[dict[str, Any]]
) -> None:
    refused: list[tuple[Callable[[], None], str]] = [
        (lambda: platform.start(spec("one", layers=layers, image=None)), "No image is named"),
        (
            lambda: platform.start(spec("one", layers=[*layers, {"env_vars": ["NOT_SET_A", "NOT_SET_B"]}])),
            "does not have: NOT_SET_A, NOT_SET_B",
        ),
        (lambda: platform.start(spec("one", layers=[*layers, {"ecs/task_overrides": "{"}])), "is no JSON"),
        (lambda: platform.start(spec("one", "x" * 9000, layers=layers)), "ECS takes 8192"),
        (
            lambda: platform.start(spec("one", layers=[*layers, {"task_definition": "not-there"}])),
            "one was not started: ",
        ),
    ]
    for start, words in refused:
        with pytest.raises(PlatformError, match=words) as caught:
            start()
        assert caught.value.is_passing is False


def test_an_ecs_that_does_not_answer_is_a_passing_trouble(ecs: EcsCluster) -> None:
    config = {**ecs.config, "boto_config": {"endpoint_url": "http://127.0.0.1:9", "region_name": REGION}}
    with contextlib.closing(EcsPlatform(config)) as platform, pytest.raises(PlatformError) as caught:
        platform.list(OWNER)
    assert caught.value.is_passing is True


def test_the_launcher_workers_own_task_says_where_and_how_others_run(
    ecs: EcsCluster, layers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, metadata_server: Any
) -> None:
    with client_of(ecs) as client:
        client.register_task_definition(
            family="launcher",
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            taskRoleArn="arn:aws:iam::123456789012:role/own",
            containerDefinitions=[
                {
                    "name": "launcher",
                    "image": IMAGE,
                    "memory": 256,
                    "command": ["python3", "-c", "import time; time.sleep(60)"],
                    "environment": [{"name": "INHERITED", "value": "yes"}],
                }
            ],
        )
        kwargs = {key: value for key, value in ecs.config["run_task_kwargs"].items() if key != "cluster"}
        own = client.run_task(cluster=ecs.name, taskDefinition="launcher", **kwargs)["tasks"][0]
    documents = {"/own": {"Name": "launcher"}, "/own/task": {"Cluster": ecs.name, "TaskARN": own["taskArn"]}}
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", metadata_server(documents) + "/own")
    bare = {"boto_config": ecs.config["boto_config"], "run_resources": {"memory": "1024"}}
    with contextlib.closing(EcsPlatform(bare)) as platform:
        platform.start(spec("one", "pass", layers=[bare], **{JOB_LABEL: "as the launcher"}))
        [state] = platform.list(OWNER)
        assert state.name == "one"
    with client_of(ecs) as client:
        arns = client.list_task_definitions()["taskDefinitionArns"]
        [arn] = [arn for arn in arns if "run_here_as-the-launcher_" in arn]
        made = client.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert made["taskRoleArn"].endswith("role/own")
    assert made["memory"] == "1024"
    [container] = made["containerDefinitions"]
    assert container["name"] == "run"
    assert {"name": "INHERITED", "value": "yes"} in container["environment"]
    assert not container.get("command")
    assert ACCOUNT in own["taskArn"]


@pytest.fixture
def metadata_server() -> Iterator[Callable[[dict[str, Any]], str]]:
    """Serves documents as ECS's agent does, at the address that it gives to each container."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(documents[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def serve(given: dict[str, Any]) -> str:
        documents.update(given)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    server.shutdown()
    server.server_close()
    thread.join(10)
