"""OrchordInstance: a home and its instance file, wired. Opening it connects to nothing.

What it can do with runs is running.py, with schedules and sensors instigating.py; what user code reads from it is
reading.py; its file is config.py.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from functools import cached_property
from pathlib import Path
from types import TracebackType

from orchord.compute_logs import ComputeLogManager
from orchord.instance.config import InstanceConfig
from orchord.instance.coordinators import RunCoordinator
from orchord.instance.courier import Courier
from orchord.instance.instigating import InstigatorControl
from orchord.instance.launchers import RunLauncher
from orchord.instance.live_events import stop_watching
from orchord.instance.log_shipping import connected
from orchord.instance.plugins import PluginSpec, constructed, load_class
from orchord.instance.reading import InstanceReaders
from orchord.instance.recording import RunRecorder
from orchord.instance.run_launchers import Launchers
from orchord.instance.running import RunControl
from orchord.runs import Run
from orchord.settings import Settings
from orchord.snapshot import JobSnapshot, LocationSnapshot
from orchord.storage import LocationRow, Storage
from orchord.storage.pool_store import PoolRules

logger = logging.getLogger(__name__)


class OrchordInstance(InstanceReaders, InstigatorControl, RunControl):
    """Everything that runs need, as one home says it. Safe for threads; use one per process.

    Args:
        home: the folder of the instance file, and of what is stored without one.
        config: what the instance file says.

    Attributes:
        storage: the database.
        config: what the instance file says, with defaults.
        home: the folder.
        launchers: who carries runs out.
    """

    def __init__(self, home: Path, config: InstanceConfig) -> None:
        self.home = home
        self.config = config
        self.launchers = Launchers(self)
        self.storage = Storage.open(config.storage_url, **config.storage_pool)
        pools = config.concurrency.pools
        self.storage.pools.rules = PoolRules(pools.default_limit, per_run=pools.granularity == "run")

    @classmethod
    def from_home(cls, settings: Settings, *, tells: bool = True) -> OrchordInstance:
        """Open the instance of a home.

        Args:
            settings: where it is.
            tells: whether to log, in a line each, what of its file changes nothing.

        Raises:
            InstanceConfigError: its file has mistakes; all of them are listed.
        """
        config = InstanceConfig.read(settings.home)
        for notice in config.without_effect if tells else ():
            logger.info("Without effect in %s: %s", config.file, notice)
        return cls(settings.home, config)

    @classmethod
    def get(cls) -> OrchordInstance:
        """Open the instance that the environment names: ``$ORCHORD_HOME``, else ``~/.orchord``."""
        return cls.from_home(Settings.from_environment())

    @classmethod
    def ephemeral(cls) -> OrchordInstance:
        """Open a fresh instance in a temporary folder, which goes with it. For tests and trials."""
        folder = tempfile.TemporaryDirectory(prefix="orchord-", ignore_cleanup_errors=True)
        home = Path(folder.name)
        instance = cls(home, InstanceConfig.default(home))
        instance._folder = folder
        instance.storage.migrate()
        return instance

    @classmethod
    def local_temp(cls, tempdir: str | None = None) -> OrchordInstance:
        """Open an instance in a folder of a test's, with its database up to date; without one, an ephemeral one."""
        if tempdir is None:
            return cls.ephemeral()
        instance = cls(Path(tempdir), InstanceConfig.default(Path(tempdir)))
        instance.storage.migrate()
        return instance

    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def run_launcher(self) -> RunLauncher:
        """The instance's own launcher, for runs that ask for no other; made when it is first asked for.

        Raises:
            InstanceConfigError: the class that is named cannot be used.
        """
        return self.launchers.named("")

    def launcher_of(self, run: Run) -> RunLauncher:
        """Return the launcher that a run was recorded with; made when it is first asked for.

        Raises:
            InstanceConfigError: the instance does not have it any longer, or its class cannot be used.
        """
        return self.launchers.of(run)

    @cached_property
    def run_coordinator(self) -> RunCoordinator:
        """Decides when runs are launched; made when it is first asked for."""
        spec = self.config.run_coordinator
        return load_class(spec, RunCoordinator)(self, spec.config)  # type: ignore[type-abstract]

    @cached_property
    def courier(self) -> Courier:
        """Carries messages to workers and daemons beside launching runs; made when it is first asked for."""
        target = self.run_launcher.courier
        spec = PluginSpec("courier", target.rpartition(":")[2], target)
        return load_class(spec, Courier)(self)  # type: ignore[type-abstract]

    @cached_property
    def compute_log_manager(self) -> ComputeLogManager:
        """Keeps what steps print; made when it is first asked for."""
        spec = self.config.compute_logs
        cls = load_class(spec, ComputeLogManager)  # type: ignore[type-abstract]
        if spec.class_name == "LocalComputeLogManager" and "base_dir" not in spec.config:
            # Beside the values that steps store and not among them: deleting a run deletes its logs alone.
            config = {**spec.config, "base_dir": str(self.config.artifact_folder / "compute_logs")}
            spec = PluginSpec(spec.section, spec.class_name, spec.target, config)
        return connected(self, constructed(spec, cls))

    @cached_property
    def owner_id(self) -> str:
        """What this instance's containers are labelled with: the same in every process that uses its database."""
        return hashlib.sha256(self.storage.identity.encode()).hexdigest()[:16]

    def storage_directory(self) -> str:
        """Return the folder in which IO managers without a ``base_dir`` store values."""
        return str(self.config.artifact_folder / "storage")

    def recording(self, run: Run) -> RunRecorder:
        """Create a run that this process carries out by itself; return what writes it down.

        Raises:
            ConflictError: a run with this id exists already.
        """
        return RunRecorder(self.storage, run)

    def job_snapshot(self, snapshot_id: str) -> JobSnapshot:
        """Return a job as it was when a run of it was created."""
        return self.storage.locations.job_snapshot(snapshot_id)

    def location_snapshot(self, row: LocationRow) -> LocationSnapshot | None:
        """Return what a location defines, or None when its code has never loaded."""
        return row.snapshot

    def dispose(self) -> None:
        """Give back connections and threads; the instance can be used again, and opens new ones."""
        courier = self.__dict__.pop("courier", None)
        if courier is not None:
            courier.dispose()
        self.__dict__.pop("run_coordinator", None)
        self.launchers.dispose()
        compute_logs = self.__dict__.pop("compute_log_manager", None)
        if compute_logs is not None:
            if compute_logs.live is not None:
                compute_logs.live.dispose()
            compute_logs.dispose()
        stop_watching()
        self.storage.dispose()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> OrchordInstance:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dispose()
