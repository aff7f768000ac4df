"""Where a step's own process finds its code and its instance: the location, loaded in a template or in each process.

What such a process does is orchord.execution.processes; which processes there are is the worker's and the command's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchord.errors import JobNotFoundError
from orchord.execution.executors import IN_PROCESS
from orchord.execution.processes import StepMeans, StepTemplate
from orchord.instance.instance import OrchordInstance
from orchord.instance.log_shipping import announce_logs
from orchord.location import CodeLocation, LocationTarget, load_location
from orchord.plan.places import Place, place_of, runs_as_unit
from orchord.runs import Run
from orchord.settings import Settings
from orchord.snapshot import LocationSnapshot


@dataclass
class LocationSource:
    """The code of a location, and the instance of a home.

    Attributes:
        settings: where the instance lives.
        target: where the code is, for processes that have to load it.
        code: the code, in processes that have it. It is never sent.
    """

    settings: Settings
    target: LocationTarget
    code: CodeLocation | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "target": self.target, "code": None}

    def load(self) -> None:
        """Load the code, unless it is there.

        Raises:
            CodeLocationLoadError: it cannot be loaded.
        """
        if self.code is None:
            self.code = load_location(self.target)

    def means(self, run: Run, owner: str) -> StepMeans:
        """Return what a step of a run needs. ``owner``: whose shipper looks after what it prints; empty: nobody's.

        Raises:
            JobNotFoundError: the code has no such job.
            InvalidConfigError: the run's config does not fit the code.
        """
        assert self.code is not None, "load comes first"
        job = self.code.repository.jobs.get(run.job_name)
        if job is None:
            raise JobNotFoundError(
                f"Job '{run.job_name}' is not in the code that is loaded for location '{self.code.name}'. The run was "
                "recorded with other code: restart the workers with it, or launch the run again."
            )
        resolved = job.resolve_run_config(run.run_config, run.step_keys)
        instance = OrchordInstance.from_home(self.settings, tells=False)
        if owner:
            announce_logs(instance, owner)
        return StepMeans(job, resolved, instance, instance.compute_log_manager, instance.dispose)


def step_template(settings: Settings, code: CodeLocation) -> StepTemplate | None:
    """Fork a template from this process, which has the code; None when no job of it asks for processes.

    No thread may run yet, and no connection may be open.
    """
    return StepTemplate(LocationSource(settings, code.target, code)) if asks_for_processes(code.snapshot) else None


def asks_for_processes(location: LocationSnapshot) -> bool:
    """Return whether some job runs steps in processes of their own, or may: executors of one's own decide late."""
    return any(
        (runs_as_unit(job.executor) and job.executor != IN_PROCESS)
        or any(place_of(job.executor, step) is Place.PROCESS for step in job.plan.steps)
        for job in location.jobs
    )
