"""The platform port on a real cluster: what starts, ends, is stopped, and how lost connections are made up for."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchord.testing import eventually
from orchord_workers.containers.kubernetes import KubernetesPlatform
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

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.timeout(300),
    # The cluster's certificate is its own.
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]


class Cluster:
    """A platform that is watched, in a namespace of its own."""

    def __init__(self, config: dict[str, Any], namespace: str) -> None:
        self.owner = uuid.uuid4().hex[:12]
        self.namespace = namespace
        self.platform = KubernetesPlatform(config)
        self.told: list[ContainerState] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.platform.watch, args=(self.owner, self.told.append, self.stopped))
        self.thread.start()

    def start(self, script: str, *layers: dict[str, Any], name: str = "", image: str = IMAGE) -> str:
        name = name or f"c-{uuid.uuid4().hex[:8]}"
        labels = {OWNER_LABEL: self.owner, RUN_LABEL: "r1", STEP_LABEL: "sum[a]", ATTEMPT_LABEL: "2"}
        pod = {"automount_service_account_token": False, "termination_grace_period_seconds": 2}
        below = {"image_pull_policy": "Never", "run_k8s_config": {"pod_spec_config": pod}}
        below |= {"job_namespace": self.namespace}
        self.platform.start(ContainerSpec(name, ["sh", "-c", script], labels, {"A": "1"}, image, (below, *layers)))
        return name

    def states(self, name: str) -> list[ContainerState]:
        return [state for state in self.told if state.name == name]

    def until(self, name: str, *phases: Phase, cannot_start: bool = False) -> ContainerState:
        def found() -> ContainerState | None:
            states = [state for state in self.states(name) if state.phase in phases]
            return next((state for state in states if state.cannot_start == cannot_start), None)

        state = eventually(found, 120)
        assert state is not None
        return state

    def until_empty(self) -> None:
        eventually(lambda: not self.platform.list(self.owner), 120, interval_seconds=0.5)

    def close(self) -> None:
        self.stopped.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.platform.close()


@pytest.fixture
def cluster(kubernetes: str) -> Iterator[Cluster]:
    client = pytest.importorskip("kubernetes.client")
    namespace = f"orchord-{uuid.uuid4().hex[:8]}"
    with pytest.importorskip("kubernetes.config").new_client_from_config(kubernetes) as api:
        core = client.CoreV1Api(api)
        core.create_namespace({"metadata": {"name": namespace}})
        found = Cluster({"kubeconfig_file": kubernetes, "load_incluster_config": False}, namespace)
        yield found
        found.close()
        core.delete_namespace(namespace)


def test_ends_are_told_once_with_their_exit_codes_and_last_lines(cluster: Cluster) -> None:
    good, bad = cluster.start("echo $A; sleep 1"), cluster.start("echo oh no; exit 3")
    assert cluster.until(good, Phase.ENDED).exit_code == 0
    ended = cluster.until(bad, Phase.ENDED)
    assert (ended.exit_code, ended.out_of_memory) == (3, False)
    assert ended.labels == {OWNER_LABEL: cluster.owner, RUN_LABEL: "r1", STEP_LABEL: "sum[a]", ATTEMPT_LABEL: "2"}
    assert cluster.platform.tail(bad, 5) == "oh no\n"
    assert cluster.platform.tail(good, 5) == "1\n"
    assert {state.name: state.exit_code for state in cluster.platform.list(cluster.owner)} == {good: 0, bad: 3}
    for name in (good, bad):
        cluster.platform.remove(name)
    cluster.until_empty()
    assert [state.phase for state in cluster.states(bad)][-1] is Phase.ENDED
    cluster.platform.remove(good)
    cluster.platform.stop(good, 1)
    assert cluster.platform.tail(good, 5) == ""


def test_a_second_start_of_a_name_changes_nothing(cluster: Cluster) -> None:
    name = cluster.start("sleep 2; exit 7")
    cluster.start("exit 8", name=name)
    assert cluster.until(name, Phase.ENDED).exit_code == 7


def test_a_kill_for_memory_is_told_with_its_limit(cluster: Cluster) -> None:
    script = "python3 -c 'x = bytearray(300 * 2**20)'"
    name = cluster.start(script, {"resources": {"limits": {"memory": "64Mi"}}})
    ended = cluster.until(name, Phase.ENDED)
    assert (ended.out_of_memory, ended.memory_limit_bytes) == (True, 64 * 2**20)


def test_a_deadline_ends_a_container_with_that_reason(cluster: Cluster) -> None:
    raw = {"step_k8s_config": {"job_spec_config": {"active_deadline_seconds": 3}}}
    name = cluster.start("sleep 100", raw)
    assert cluster.until(name, Phase.ENDED).reason.startswith("DeadlineExceeded")


def test_what_is_stopped_ends_and_is_not_replaced(cluster: Cluster) -> None:
    name = cluster.start("sleep 100")
    cluster.until(name, Phase.RUNNING)
    cluster.platform.stop(name, 1)
    cluster.until(name, Phase.GONE, Phase.ENDED)
    cluster.until_empty()


def test_a_pod_that_somebody_deletes_is_told_as_gone_and_no_other_takes_its_place(
    cluster: Cluster, kubernetes: str
) -> None:
    name = cluster.start("sleep 100")
    cluster.until(name, Phase.RUNNING)
    with pytest.importorskip("kubernetes.config").new_client_from_config(kubernetes) as api:
        core = pytest.importorskip("kubernetes.client").CoreV1Api(api)
        core.delete_collection_namespaced_pod(cluster.namespace, grace_period_seconds=1)
    assert cluster.until(name, Phase.GONE).reason == "its pod was deleted"
    cluster.until_empty()
    assert [state.phase for state in cluster.states(name)].count(Phase.GONE) == 1


def test_an_image_or_a_secret_that_is_not_there_is_told_as_hopeless(cluster: Cluster) -> None:
    image = cluster.start("true", image="there-is-no-such/image:1")
    secret = cluster.start("true", {"env_secrets": ["nobody-made-this"]})
    assert cluster.until(image, Phase.PENDING, cannot_start=True).reason.startswith("ErrImageNeverPull")
    assert 'secret "nobody-made-this" not found' in cluster.until(secret, Phase.PENDING, cannot_start=True).reason


def test_refusals_say_what_was_tried(cluster: Cluster) -> None:
    with pytest.raises(PlatformError) as caught:
        cluster.start("true", {"job_namespace": "nobody-made-this"}, name="c-x")
    assert str(caught.value) == (
        'Cannot create the Job c-x in namespace nobody-made-this: namespaces "nobody-made-this" not found'
    )
    assert not caught.value.is_passing
    with pytest.raises(PlatformError) as caught:
        cluster.start("true", {"instance_config_map": "nobody-made-this"})
    assert str(caught.value) == (
        "The settings for Kubernetes have mistakes:\n"
        f"1. there is no ConfigMap 'nobody-made-this' (instance_config_map) in namespace {cluster.namespace}. "
        "Create it, with the instance file as orchord.yaml."
    )


def test_a_cluster_that_does_not_answer_is_a_passing_refusal(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
    )
    platform = KubernetesPlatform({"kubeconfig_file": str(kubeconfig)})
    with pytest.raises(PlatformError, match="Cannot list") as caught:
        platform.list("nobody")
    assert caught.value.is_passing
    platform.close()


def test_without_a_kubeconfig_the_error_names_the_keys(tmp_path: Path) -> None:
    platform = KubernetesPlatform({"kubeconfig_file": str(tmp_path / "none")})
    with pytest.raises(PlatformError, match="set load_incluster_config: false and kubeconfig_file") as caught:
        platform.list("nobody")
    assert not caught.value.is_passing


RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete", "deletecollection"]},
    {"apiGroups": [""], "resources": ["pods/log", "configmaps"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]


@pytest.fixture
def bounded_cluster(kubernetes: str, tmp_path: Path) -> Iterator[Cluster]:
    """A platform with the rights that docs/kubernetes.md asks for, in one namespace alone."""
    client = pytest.importorskip("kubernetes.client")
    namespace = f"orchord-{uuid.uuid4().hex[:8]}"
    with pytest.importorskip("kubernetes.config").new_client_from_config(kubernetes) as api:
        core, rights = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
        core.create_namespace({"metadata": {"name": namespace}})
        core.create_namespaced_service_account(namespace, {"metadata": {"name": "launcher"}})
        rights.create_namespaced_role(namespace, {"metadata": {"name": "launcher"}, "rules": RULES})
        account = {"kind": "ServiceAccount", "name": "launcher", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "launcher"}
        binding = {"metadata": {"name": "launcher"}, "roleRef": role, "subjects": [account]}
        rights.create_namespaced_role_binding(namespace, binding)
        body = {"spec": {"audiences": [], "expirationSeconds": 3600}}
        token = core.create_namespaced_service_account_token("launcher", namespace, body).status.token
        document = yaml.safe_load(Path(kubernetes).read_text())
        document["users"][0]["user"] = {"token": token}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(document))
        config = {"kubeconfig_file": str(kubeconfig), "load_incluster_config": False, "job_namespace": namespace}
        found = Cluster(config, namespace)
        yield found
        found.close()
        core.delete_namespace(namespace)


def test_a_role_in_one_namespace_is_enough(bounded_cluster: Cluster) -> None:
    cluster = bounded_cluster
    ends, runs = cluster.start("echo well; exit 5"), cluster.start("sleep 100")
    assert cluster.until(ends, Phase.ENDED).exit_code == 5
    assert cluster.platform.tail(ends, 1) == "well\n"
    cluster.until(runs, Phase.RUNNING)
    cluster.platform.stop(runs, 1)
    cluster.platform.remove(ends)
    cluster.until_empty()
    with pytest.raises(PlatformError, match=r"Allow it to the launcher's service account") as caught:
        cluster.start("true", {"job_namespace": "default"})
    assert not caught.value.is_passing


class Proxy:
    """A way to the cluster that can be cut, and closed for a while."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for one, other in self.pairs:
            for end in (one, other):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self.server.accept()
                if not self.is_open:
                    taken.close()
                    continue
                onward = socket.create_connection(self.target)
                self.pairs.append((taken, onward))
                for source, sink in ((taken, onward), (onward, taken)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def cut_cluster(kubernetes: str, tmp_path: Path) -> Iterator[tuple[Cluster, Proxy]]:
    """A cluster by a way that can be cut."""
    client = pytest.importorskip("kubernetes.client")
    document = yaml.safe_load(Path(kubernetes).read_text())
    address = urllib.parse.urlsplit(document["clusters"][0]["cluster"]["server"])
    proxy = Proxy(address.hostname or "", address.port or 443)
    document["clusters"][0]["cluster"] = {
        "server": f"https://127.0.0.1:{proxy.port}",
        "insecure-skip-tls-verify": True,
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    namespace = f"orchord-{uuid.uuid4().hex[:8]}"
    with pytest.importorskip("kubernetes.config").new_client_from_config(kubernetes) as api:
        core = client.CoreV1Api(api)
        core.create_namespace({"metadata": {"name": namespace}})
        found = Cluster({"kubeconfig_file": str(kubeconfig), "load_incluster_config": False}, namespace)
        yield found, proxy
        found.close()
        proxy.close()
        core.delete_namespace(namespace)


def test_what_happens_while_the_cluster_is_away_is_told_when_it_is_back(cut_cluster: tuple[Cluster, Proxy]) -> None:
    cluster, proxy = cut_cluster
    ends, goes = cluster.start("sleep 3; exit 4"), cluster.start("sleep 100")
    cluster.until(goes, Phase.RUNNING)
    proxy.is_open = False
    proxy.cut()
    with pytest.raises(PlatformError) as caught:
        cluster.platform.remove("c-unknown")
    assert caught.value.is_passing
    proxy.is_open = True
    proxy.cut()
    cluster.platform.remove(goes)
    assert cluster.until(ends, Phase.ENDED).exit_code == 4
    cluster.until(goes, Phase.GONE)
    assert len([state for state in cluster.states(ends) if state.phase is Phase.ENDED]) == 1
