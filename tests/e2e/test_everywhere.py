"""One job under every executor, launcher, coordinator, IO manager and compute log manager, by configuration only.

The ids are the rows of the lists that Orchord set out to serve. Each row gives the same values, the same events (an
engine's own aside), working logs and retries; and what waits is canceled everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

USER_CODE = str(Path(__file__).parent / "everywhere_jobs.py")
NAMESPACE = "orchord-everywhere"
ENGINES_OWN = {"ENGINE_EVENT", "STEP_WORKER_STARTING", "STEP_WORKER_STARTED", "LOGS_CAPTURED"}
OF_A_COORDINATOR = {"RUN_ENQUEUED", "RUN_DEQUEUED", "RUN_STARTING"}
# Servers of a session, by what a row needs: they are there before a test looks at what it leaves behind.
SERVERS = {
    "azure": ("object_store_library", "azurite_server"),
    "gcs": ("object_store_library", "fake_gcs_server"),
    "s3": ("object_store_library", "seaweedfs_server"),
    "tasks": ("ecs_server",),
}

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Row:
    """What one row configures; all else is as everywhere."""

    executor: str | None = None
    launcher: str = "CeleryRunLauncher"
    needs: str | None = None
    places: tuple[str, ...] = ()
    io_manager: str = "FilesystemIOManager"
    sections: dict[str, Any] = field(default_factory=dict)


def row(name: str, *marks: str, **fields: Any) -> Any:
    servers = SERVERS.get(fields.get("needs", ""), ())
    return pytest.param(servers, Row(**fields), id=name, marks=[getattr(pytest.mark, mark) for mark in marks])


def logs(name: str) -> dict[str, Any]:
    return {"compute_logs": {"module": "orchord", "class": name}}


def coordinator(name: str) -> dict[str, Any]:
    return {"run_coordinator": {"module": "orchord", "class": name}}


LAUNCHERS = [
    row("K8sRunLauncher", "kubernetes", "docker", launcher="K8sRunLauncher", needs="cluster", places=("k8s",)),
    row(
        "CeleryK8sRunLauncher",
        "kubernetes",
        "docker",
        launcher="CeleryK8sRunLauncher",
        needs="cluster",
        places=("k8s",),
    ),
    row("DockerRunLauncher", "docker", launcher="DockerRunLauncher", needs="engine", places=("docker",)),
    row("ecs.EcsRunLauncher", "ecs", "docker", launcher="EcsRunLauncher", needs="tasks", places=("ecs",)),
    row("DefaultRunLauncher", launcher="DefaultRunLauncher"),
]
EXECUTORS = [
    row("in_process_executor", executor="in_process_executor"),
    row("multiprocess_executor", executor="multiprocess_executor"),
    row("celery_executor", executor="celery_executor"),
    row("docker_executor", "docker", executor="docker_executor", needs="engine", places=("docker",)),
    row("celery_docker_executor", "docker", executor="celery_docker_executor", needs="engine", places=("docker",)),
    row("k8s_job_executor", "kubernetes", "docker", executor="k8s_job_executor", needs="cluster", places=("k8s",)),
    row(
        "celery_k8s_job_executor",
        "kubernetes",
        "docker",
        executor="celery_k8s_job_executor",
        needs="cluster",
        places=("k8s",),
    ),
]
COORDINATORS = [
    row("DefaultRunCoordinator", sections=coordinator("DefaultRunCoordinator")),
    row("QueuedRunCoordinator", sections=coordinator("QueuedRunCoordinator")),
]
COMPUTE_LOGS = [
    row("LocalComputeLogManager", sections=logs("LocalComputeLogManager")),
    row("NoOpComputeLogManager", sections=logs("NoOpComputeLogManager")),
    row("S3ComputeLogManager", "s3", needs="s3", sections=logs("S3ComputeLogManager")),
    row("AzureComputeLogManager", "azure", needs="azure", sections=logs("AzureComputeLogManager")),
    row("GCSComputeLogManager", "gcs", needs="gcs", sections=logs("GCSComputeLogManager")),
]
# BigQuery's two store tables: they are tried with DataFrames, in tests of their own.
IO_MANAGERS = [
    row("FilesystemIOManager"),
    row("InMemoryIOManager", executor="in_process_executor", io_manager="InMemoryIOManager"),
    row("s3.S3PickleIOManager", "s3", needs="s3", io_manager="s3.S3PickleIOManager"),
    row("GCSPickleIOManager", "gcs", needs="gcs", io_manager="GCSPickleIOManager"),
]


class Everywhere:
    """One row's deployment."""

    def __init__(self, deployment: Any, row: Row, request: pytest.FixtureRequest, monkeypatch: Any) -> None:
        self.deployment, self.row, self.request, self.monkeypatch = deployment, row, request, monkeypatch
        self.home: Path = deployment.home
        self.shared = self.home / "shared"
        self.shared.mkdir()
        # A pod may run as anybody.
        self.shared.chmod(0o777)
        self.settings: dict[str, Any] = {}
        self.file: dict[str, Any] = {"local_artifact_storage": {"base_dir": str(self.shared)}, **row.sections}
        monkeypatch.setenv("EVERYWHERE_IO_MANAGER", row.io_manager)

    def start(self, services: Any) -> None:
        """Write the instance file that the row needs, and start all that it needs."""
        self.file["celery"] = {"broker": services.broker, "result_backend": services.broker}
        self.file["storage"] = {"postgres": {"postgres_url": services.database}}
        if self.row.needs is not None:
            getattr(self, f"_with_{self.row.needs}")()
        launcher = {"module": "orchord", "class": self.row.launcher}
        if self.row.launcher not in ("CeleryRunLauncher", "DefaultRunLauncher"):
            launcher["config"] = self.settings
        self.file["run_launcher"] = launcher
        (self.home / "orchord.yaml").write_text(yaml.safe_dump(self.file))
        self.deployment.start_all(USER_CODE)
        for place in self.row.places:
            self.deployment.start("launcher", "launcher", "--place", place)

    def launch(self, name: str, config: dict[str, Any] | None = None) -> str:
        run_config = dict(config or {})
        if self.row.executor is None:
            return str(self.deployment.launch(name, run_config=run_config)["run_id"])
        if self.row.places:
            settings = {"docker": self.settings} if self.row.executor == "celery_docker_executor" else self.settings
            run_config["execution"] = {"config": settings}
        return str(self.deployment.launch(f"{name}_{self.row.executor}", run_config=run_config)["run_id"])

    def events(self, run_id: str) -> list[dict[str, Any]]:
        page = self.deployment.client.get(f"/api/v1/runs/{run_id}/events", params={"limit": 500}).raise_for_status()
        found: list[dict[str, Any]] = page.json()["items"]
        return found

    def told(self, run_id: str) -> str:
        lines = [f"{event['type']} {event.get('step_key')}: {event['message']}" for event in self.events(run_id)]
        return "\n".join([*lines, self.deployment.logs()])

    def _with_engine(self) -> None:
        image = self.request.getfixturevalue("product_image")
        self.settings = {"image": image, "container_kwargs": {"volumes": [f"{self.home}:{self.home}"]}}

    def _with_cluster(self) -> None:
        kubeconfig = self.request.getfixturevalue("kubernetes")
        self.settings = {
            "job_image": self.request.getfixturevalue("product_image"),
            "image_pull_policy": "Never",
            "job_namespace": "default",
            "load_incluster_config": False,
            "kubeconfig_file": kubeconfig,
            "env_vars": [f"ORCHORD_HOME={self.home}"],
            "volumes": [{"name": "home", "hostPath": {"path": str(self.home)}}],
            "volume_mounts": [{"name": "home", "mountPath": str(self.home)}],
        }
        of_pods = {"pod_spec_config": {"automount_service_account_token": False}}
        if self.row.executor is None:
            self.settings["run_k8s_config"] = of_pods
            return
        # Which cluster it is, the launcher worker knows by the instance file.
        reached = {"load_incluster_config": False, "kubeconfig_file": kubeconfig}
        self.file["run_launchers"] = {"cluster": {"module": "orchord", "class": "K8sRunLauncher", "config": reached}}
        self.settings["step_k8s_config"] = of_pods

    def _with_tasks(self) -> None:
        ecs, engine = self.request.getfixturevalue("ecs"), self.request.getfixturevalue("docker_engine")
        image, folder = self.request.getfixturevalue("product_image"), self.shared / "image"
        # The helper behind moto mounts nothing: the instance file lies in the image.
        folder.mkdir()
        (folder / "orchord.yaml").write_text(yaml.safe_dump(self.file))
        (folder / "Dockerfile").write_text(
            f"FROM {image}\nCOPY orchord.yaml {self.home}/\nENV ORCHORD_HOME={self.home}\n"
        )
        own, _ = engine.images.build(path=str(folder), rm=True)
        self.monkeypatch.setenv("ORCHORD_CURRENT_IMAGE", own.id)
        self.settings = ecs.config

    def _with_s3(self) -> None:
        bucket = self.request.getfixturevalue("seaweedfs_bucket")
        server = bucket.server
        self._store(
            STORE_URL=server.url, STORE_BUCKET=bucket.name, STORE_KEY=server.access_key, STORE_SECRET=server.secret_key
        )
        self._log_settings(
            bucket=bucket.name,
            endpoint=server.url,
            access_key_id={"env": "STORE_KEY"},
            secret_access_key={"env": "STORE_SECRET"},
            region=server.region,
            allow_http=True,
        )

    def _with_azure(self) -> None:
        container = self.request.getfixturevalue("azure_container")
        self._store(STORE_KEY=container.key)
        self._log_settings(
            storage_account=container.account,
            container=container.name,
            access_key={"env": "STORE_KEY"},
            endpoint=container.url,
            allow_http=True,
        )

    def _with_gcs(self) -> None:
        bucket = self.request.getfixturevalue("gcs_bucket")
        self._store(STORE_URL=bucket.url, STORE_BUCKET=bucket.name)
        self._log_settings(bucket=bucket.name, endpoint=bucket.url, allow_http=True)

    def _store(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def _log_settings(self, **config: Any) -> None:
        if "compute_logs" in self.file:
            self.file["compute_logs"] = {**self.file["compute_logs"], "config": config}


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> None:
    """The servers that a row needs."""
    for name in request.param:
        request.getfixturevalue(name)


@pytest.fixture
def everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Everywhere:
    """The deployment of a row, started. The services come first: what is set up last is taken down first."""
    row: Row = request.param
    if row.places:
        services = request.getfixturevalue("services_for_containers")
    else:
        services = _Services(request.getfixturevalue("postgres_url"), request.getfixturevalue("valkey_url"))
    made = Everywhere(request.getfixturevalue("deploy")(broker=None), row, request, monkeypatch)
    made.start(services)
    return made


@dataclass(frozen=True)
class _Services:
    database: str
    broker: str


STORED = ["STEP_OUTPUT", "ASSET_MATERIALIZATION", "HANDLED_OUTPUT", "STEP_SUCCESS"]
READ = ["LOADED_INPUT", "STEP_INPUT"]
EXPECTED = [
    *["ASSET_MATERIALIZATION_PLANNED"] * 3,
    "RUN_START",
    *(f"{kind} numbers" for kind in ["STEP_START", "LOG", *STORED]),
    *(f"{kind} halves" for kind in ["STEP_START", *READ, "STEP_UP_FOR_RETRY", "STEP_RESTARTED", *READ, *STORED]),
    *(f"{kind} total" for kind in ["STEP_START", *READ, *STORED]),
    "RUN_SUCCESS",
]


@pytest.mark.parametrize(
    ("servers", "everywhere"), [*EXECUTORS, *LAUNCHERS, *COORDINATORS, *COMPUTE_LOGS, *IO_MANAGERS], indirect=True
)
def test_gives_the_same_values_events_and_logs_and_is_canceled(servers: None, everywhere: Everywhere) -> None:
    deployment, row = everywhere.deployment, everywhere.row
    run_id = everywhere.launch("everywhere")
    run = deployment.wait(run_id, 240)
    assert run["status"] == "SUCCESS", everywhere.told(run_id)

    own = ENGINES_OWN | OF_A_COORDINATOR
    told = [event for event in everywhere.events(run_id) if event["type"] not in own and not _of_a_store(event)]
    planned = "ASSET_MATERIALIZATION_PLANNED"
    kinds = [event["type"] if event["type"] == planned else _kind(event) for event in told]
    assert kinds == EXPECTED, everywhere.told(run_id)
    made = next(event for event in told if _kind(event) == "ASSET_MATERIALIZATION total")
    assert "25" in str(made["data"]["metadata"]["total"])

    if row.sections.get("compute_logs", {}).get("class") != "NoOpComputeLogManager":
        printed = deployment.client.get(f"/api/v1/runs/{run_id}/logs/numbers").raise_for_status().text
        assert "numbers are made" in printed, everywhere.told(run_id)
        assert "by a child too" in printed

    if row.executor is None and row.launcher == "CeleryRunLauncher":
        return
    waiting = everywhere.launch("waiting")
    deployment.wait_until(
        lambda: any(event["type"] == "STEP_START" for event in everywhere.events(waiting)), 120, "the step to begin"
    )
    deployment.client.post(f"/api/v1/runs/{waiting}/cancel").raise_for_status()
    assert deployment.wait(waiting, 60)["status"] == "CANCELED", everywhere.told(waiting)


def _of_a_store(event: dict[str, Any]) -> bool:
    return event["type"] == "LOG" and event["message"].startswith(("Writing ", "Loading "))


def _kind(event: dict[str, Any]) -> str:
    return " ".join(filter(None, (event["type"], event["step_key"])))
