"""Finding jobs and assets for a command: in the code that is given, or in what the instance knows of its locations.

Which code is given is read in targets.py.
"""

from __future__ import annotations

from orchord.cli.opening import opened_instance
from orchord.cli.targets import Targets
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.selection import AssetSelection
from orchord.errors import ConflictError, JobNotFoundError, LocationNotFoundError, did_you_mean
from orchord.instance.launch import find_job as stored_job
from orchord.location import load_location
from orchord.snapshot import JobSnapshot, LocationSnapshot


def known_locations(targets: Targets, location: str | None = None) -> list[LocationSnapshot]:
    """Return the snapshots of the given code, or without any, those that are stored in the instance.

    Raises:
        CodeLocationLoadError: given code does not load.
        LocationNotFoundError: no location has the name ``location``.
    """
    if targets:
        found = [load_location(target).snapshot for target in targets]
    else:
        with opened_instance() as instance:
            found = [row.snapshot for row in instance.storage.locations.all() if row.snapshot is not None]
    return _named(found, location)


def find_job(targets: Targets, name: str, location: str | None = None) -> tuple[LocationSnapshot, JobSnapshot]:
    """Return a job with its location, from the given code, or without any, from the instance.

    Raises:
        JobNotFoundError: no job has this name; the nearest one is told.
        LocationNotFoundError: no location has the name ``location``.
        ConflictError: several locations have such a job.
    """
    if not targets:
        with opened_instance() as instance:
            return stored_job(instance.storage, name, location)
    snapshots = known_locations(targets, location)
    found = [(item, item.job_by_name[name]) for item in snapshots if name in item.job_by_name]
    if len(found) > 1:
        names = ", ".join(item.name for item, _ in found)
        raise ConflictError(f"Several locations have a job '{name}': {names}. Name one with --location.")
    if not found:
        known = [key for item in snapshots for key in item.job_by_name if not key.startswith("__")]
        raise JobNotFoundError(f"No job is called '{name}'.{did_you_mean(name, known)}")
    return found[0]


def select_assets(snapshot: LocationSnapshot, selection: str | None) -> frozenset[str] | None:
    """Return the keys, as user strings, that a selection's text names in a location; None stays None.

    Raises:
        InvalidSubsetError: the text cannot be read, or names assets that are not there.
    """
    if selection is None:
        return None
    chosen = AssetSelection.from_string(selection, include_sources=True).resolve(AssetGraph.from_snapshot(snapshot))
    return frozenset(key.to_user_string() for key in chosen)


def _named(snapshots: list[LocationSnapshot], location: str | None) -> list[LocationSnapshot]:
    if location is None:
        return snapshots
    found = [item for item in snapshots if item.name == location]
    if not found:
        known = [item.name for item in snapshots]
        raise LocationNotFoundError(f"No code location '{location}'.{did_you_mean(location, known)}")
    return found
