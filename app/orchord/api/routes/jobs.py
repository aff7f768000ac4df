"""Code locations and their jobs: what there is to run, and what its run config may be.

All of it is read from stored snapshots; no user code is here. Starting a run is routes/runs.py.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchord.api.catalog import known_jobs, known_locations
from orchord.api.models.jobs import (
    JobBody,
    JobDetailBody,
    JobList,
    JobPath,
    LocationBody,
    LocationDetailBody,
    LocationList,
    LocationPath,
    LocationQuery,
)
from orchord.api.plans import plan_body
from orchord.api.routes.health import workers_alive
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.instance.launch import find_job
from orchord.instance.placement import misfits_of_job
from orchord.storage import LocationRow

location_routes = Routes("locations", "Code locations: user code, as its workers have published it.")
job_routes = Routes("jobs", "What can be run.")


@location_routes.get("/locations", {200: LocationList})
def list_locations() -> LocationList:
    """List the code locations."""
    alive = workers_alive()
    rows = known_locations(the_instance().storage)
    return LocationList(items=[LocationBody.model_construct(**_location_fields(row, alive)) for row in rows])


@location_routes.get("/locations/<location>", {200: LocationDetailBody})
def read_location(path: LocationPath) -> LocationDetailBody:
    """Read one code location with the names of what it defines."""
    row = known_locations(the_instance().storage, path.location)[0]
    snapshot = row.snapshot
    return LocationDetailBody.model_construct(
        **_location_fields(row, workers_alive()),
        jobs=[job.name for job in snapshot.jobs] if snapshot else [],
        assets=[asset.key for asset in snapshot.assets] if snapshot else [],
        schedules=[schedule.name for schedule in snapshot.schedules] if snapshot else [],
        sensors=[sensor.name for sensor in snapshot.sensors] if snapshot else [],
        resources=[resource.key for resource in snapshot.resources] if snapshot else [],
    )


@job_routes.get("/jobs", {200: JobList}, problems=(404,))
def list_jobs(query: LocationQuery) -> JobList:
    """List the jobs of one code location, or of all."""
    return JobList(items=[JobBody.of(place, job) for place, job in known_jobs(the_instance().storage, query.location)])


@job_routes.get("/jobs/<job>", {200: JobDetailBody}, problems=(409,))
def read_job(path: JobPath, query: LocationQuery) -> JobDetailBody:
    """Read one job with its graph, its plan, its config schema and its default run config."""
    location, job = find_job(the_instance().storage, path.job, query.location)
    return JobDetailBody.detailed(
        location.name, job, plan_body(job.plan), misfits_of_job(the_instance(), location, job)
    )


def _location_fields(row: LocationRow, alive: Counter[str]) -> dict[str, Any]:
    snapshot = row.snapshot
    return {
        "name": row.name,
        "loaded_at": row.loaded_at,
        "error": None if row.error is None else row.error.to_string(),
        "snapshot_id": row.snapshot_id or None,
        "workers_alive": alive[row.name],
        "job_count": len(snapshot.jobs) if snapshot else 0,
        "asset_count": len(snapshot.assets) if snapshot else 0,
    }
