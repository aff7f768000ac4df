"""Steps and runs as Jobs of a real cluster, with the image that compose/Dockerfile builds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

USER_CODE = "kubernetes_jobs.py"

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.timeout(600),
    # The cluster's certificate is its own.
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]


class ClusterDeployment:
    """A deployment with a launcher worker, whose pods reach its services, in a namespace of its own."""

    def __init__(self, deployment: Any, services: Any, image: str, kubeconfig: str, core: Any, batch: Any) -> None:
        self.deployment = deployment
        self.core, self.batch = core, batch
        self.namespace = f"orchord-{uuid.uuid4().hex[:8]}"
        self.home: Path = deployment.home
        self.shared = self.home / "shared"
        self.shared.mkdir()
        self.config: dict[str, Any] = {
            "job_image": image,
            "image_pull_policy": "Never",
            "job_namespace": self.namespace,
            "load_incluster_config": False,
            "kubeconfig_file": kubeconfig,
            "instance_config_map": "orchord-instance",
            "dagster_home": "/opt/orchord",
            "volumes": [{"name": "shared", "hostPath": {"path": str(self.shared)}}],
            "volume_mounts": [{"name": "shared", "mount_path": str(self.shared)}],
            "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": False}},
        }
        self.instance_file: dict[str, Any] = {
            "celery": {"broker": services.broker, "result_backend": services.broker},
            "storage": {"postgres": {"postgres_url": services.database}},
            "local_artifact_storage": {"base_dir": str(self.shared)},
        }

    def start(self, launcher_class: str = "K8sRunLauncher", *, is_own: bool = True) -> None:
        launcher = {"module": "dagster_k8s", "class": launcher_class, "config": self.config}
        sections = {"run_launcher": launcher} if is_own else {"run_launchers": {"cluster": launcher}}
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        inside = yaml.safe_dump(self.instance_file | {"run_launcher": launcher})
        self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": "orchord-instance"}, "data": {"orchord.yaml": inside}}
        )
        (self.home / "orchord.yaml").write_text(yaml.safe_dump(self.instance_file | sections))
        self.deployment.start_all(USER_CODE)
        self.start_launcher()

    def start_launcher(self, name: str = "launcher") -> None:
        self.deployment.start(name, "launcher", "--place", "k8s")

    def launch(self, job: str, config: dict[str, Any] | None = None, **body: Any) -> str:
        return str(self.deployment.launch(job, run_config=config or {}, **body)["run_id"])

    def ended(self, run_id: str, seconds: float = 200) -> dict[str, Any]:
        run: dict[str, Any] = self.deployment.wait(run_id, seconds)
        return run

    def succeeded(self, run_id: str, seconds: float = 200) -> dict[str, Any]:
        run = self.ended(run_id, seconds)
        assert run["status"] == "SUCCESS", self.told(run_id)
        return run

    def events(self, run_id: str) -> list[dict[str, Any]]:
        page = self.deployment.client.get(f"/api/v1/runs/{run_id}/events", params={"limit": 500}).raise_for_status()
        found: list[dict[str, Any]] = page.json()["items"]
        return found

    def kinds(self, run_id: str) -> list[str]:
        return [event["type"] for event in self.events(run_id)]

    def failure(self, run_id: str) -> str:
        assert self.ended(run_id)["status"] == "FAILURE", self.told(run_id)
        return str(next(event["message"] for event in self.events(run_id) if event["type"] == "STEP_FAILURE"))

    def told(self, run_id: str) -> str:
        lines = [f"{event['type']} {event.get('step_key')}: {event['message']}" for event in self.events(run_id)]
        return "\n".join([*lines, self.deployment.logs()])

    def jobs(self) -> list[Any]:
        return list(self.batch.list_namespaced_job(self.namespace).items)

    def pods(self) -> list[Any]:
        return list(self.core.list_namespaced_pod(self.namespace).items)

    def wait_for_starts(self, number: int, seconds: float = 120) -> None:
        self.deployment.wait_until(lambda: len(self.starts()) >= number, seconds, f"{number} steps to begin")

    def starts(self) -> list[str]:
        file = self.shared / "starts"
        return sorted(file.read_text().split()) if file.exists() else []

    def wait_until_removed(self) -> None:
        self.deployment.wait_until(lambda: not self.jobs(), 60, "the Jobs to be removed")


@pytest.fixture
def cluster(
    kubernetes: str, services_for_containers: Any, product_image: str, deploy: Any
) -> Iterator[ClusterDeployment]:
    """A deployment that is not started yet; its namespace is deleted at the end."""
    client = pytest.importorskip("kubernetes.client")
    with pytest.importorskip("kubernetes.config").new_client_from_config(kubernetes) as api:
        core, batch = client.CoreV1Api(api), client.BatchV1Api(api)
        made = deploy(broker=services_for_containers.broker, database=services_for_containers.database)
        found = ClusterDeployment(made, services_for_containers, product_image, kubernetes, core, batch)
        yield found
        if found.namespace in [item.metadata.name for item in core.list_namespace().items]:
            core.delete_namespace(found.namespace)


@pytest.mark.parametrize("job", ["numbers_in_jobs", "numbers_in_celery_jobs"])
def test_each_step_has_a_job_of_its_own(cluster: ClusterDeployment, job: str) -> None:
    cluster.start()
    run_id = cluster.launch(job, {"ops": {"one_to": {"config": {"count": 4}}}})
    cluster.succeeded(run_id)
    kinds = cluster.kinds(run_id)
    assert kinds.count("STEP_WORKER_STARTING") == kinds.count("STEP_WORKER_STARTED") == 3
    assert kinds.count("STEP_SUCCESS") == 3
    logs = cluster.deployment.client.get(f"/api/v1/runs/{run_id}/logs/one_to").raise_for_status()
    assert "numbers are made" in logs.text
    cluster.wait_until_removed()


@pytest.mark.parametrize("launcher", ["K8sRunLauncher", "CeleryK8sRunLauncher"])
def test_a_run_that_is_one_unit_has_a_job_of_its_own(cluster: ClusterDeployment, launcher: str) -> None:
    cluster.start(launcher)
    for job in ("numbers_in_one_pod", "numbers_anywhere"):
        run_id = cluster.launch(job)
        cluster.succeeded(run_id)
        assert "STEP_WORKER_STARTING" not in cluster.kinds(run_id)
        told = [event["message"] for event in cluster.events(run_id)]
        assert any(message.startswith("Starting Kubernetes Job orchord-run-") for message in told)
    cluster.wait_until_removed()


def test_one_op_of_a_run_on_workers_has_a_job_by_its_tag(cluster: ClusterDeployment) -> None:
    cluster.start(is_own=False)
    run_id = cluster.launch("one_op_in_a_job")
    cluster.succeeded(run_id)
    assert cluster.kinds(run_id).count("STEP_WORKER_STARTED") == 1


def test_a_step_that_fails_once_is_retried_in_another_job(cluster: ClusterDeployment) -> None:
    cluster.start()
    run_id = cluster.launch("retried_in_a_job")
    cluster.succeeded(run_id)
    kinds = cluster.kinds(run_id)
    assert (kinds.count("STEP_UP_FOR_RETRY"), kinds.count("STEP_WORKER_STARTED")) == (1, 2)


def test_a_canceled_run_takes_its_job_along(cluster: ClusterDeployment) -> None:
    cluster.start()
    config = {"folder": str(cluster.shared), "seconds": 600.0}
    run_id = cluster.launch("long_in_a_job", {"ops": {"takes_long": {"config": config}}})
    cluster.wait_for_starts(1)
    cluster.deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert cluster.ended(run_id, 60)["status"] == "CANCELED", cluster.told(run_id)
    cluster.wait_until_removed()


def test_a_kill_for_memory_fails_the_step_and_its_tags_settings_were_the_pods(cluster: ClusterDeployment) -> None:
    cluster.start()
    run_id = cluster.launch("memory_in_a_job")
    cluster.deployment.wait_until(lambda: bool(cluster.pods()), 60, "the pod to be there")
    pod = cluster.pods()[0]
    assert pod.metadata.labels["team"] == "memory"
    assert pod.metadata.labels["orchord/run_id"] == run_id
    assert pod.metadata.labels["orchord/step_key"] == "takes_memory"
    assert "COLOUR" in [variable.name for variable in pod.spec.containers[0].env]
    assert "was killed by the kernel for its memory (limit 150 MiB)" in cluster.failure(run_id)


def test_a_pod_that_is_deleted_has_its_step_run_again(cluster: ClusterDeployment) -> None:
    cluster.start()
    # However long a busy cluster takes to end the pod, its step has not ended by itself before.
    config = {"folder": str(cluster.shared), "seconds": 600.0}
    run_id = cluster.launch("long_in_a_job", {"ops": {"takes_long": {"config": config}}})
    cluster.wait_for_starts(1)
    cluster.core.delete_namespaced_pod(cluster.pods()[0].metadata.name, cluster.namespace)
    cluster.succeeded(run_id)
    assert len(cluster.starts()) == 2
    assert cluster.kinds(run_id).count("STEP_WORKER_STARTED") == 2
    cluster.wait_until_removed()


def test_an_image_that_is_not_there_fails_the_step_at_once_and_says_so(cluster: ClusterDeployment) -> None:
    cluster.start()
    run_id = cluster.launch("no_image")
    message = cluster.failure(run_id)
    assert "ErrImageNeverPull" in message
    assert "there-is-no-such/image:1" in message
    cluster.wait_until_removed()


def test_five_pods_outlive_the_sigkill_of_their_launcher_worker(cluster: ClusterDeployment) -> None:
    cluster.start()
    folder = str(cluster.shared)
    ops = {f"part{number}": {"config": {"folder": folder, "count": number, "seconds": 20.0}} for number in range(5)}
    run_id = cluster.launch("five_in_jobs", {"ops": ops})
    cluster.wait_for_starts(5)
    cluster.deployment.kill("launcher")
    cluster.start_launcher("launcher2")
    cluster.succeeded(run_id)
    assert cluster.starts() == ["0", "1", "2", "3", "4"]
    kinds = cluster.kinds(run_id)
    assert kinds.count("STEP_WORKER_STARTED") == kinds.count("STEP_SUCCESS") == 5
    cluster.wait_until_removed()
