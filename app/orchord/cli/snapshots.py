"""Finding jobs and assets for a command: in the code that is given, or in what the instance knows of its locations.

Which code is given is read in targets.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchord.cli.opening import opened_instance
from orchord.cli.targets import Targets
from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.selection import AssetSelection
from orchord.errors import JobNotFoundError, LocationNotFoundError, did_you_mean
from orchord.location import load_location
from orchord.snapshot import JobSnapshot, LocationSnapshot

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance


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
            found = stored_locations(instance)
    return _named(found, location)


def stored_locations(instance: OrchordInstance) -> list[LocationSnapshot]:
    """Return the snapshots that workers have published, by name."""
    return [row.snapshot for row in instance.storage.locations.all() if row.snapshot is not None]


def find_job(
    targets: Targets,
    name: str,
    location: str | None = None,
    *,
    instance: OrchordInstance | None = None,
    publish: bool = False,
) -> tuple[LocationSnapshot, JobSnapshot]:
    """Return a job with its location.

    Args:
        targets: the code to look in; empty: the instance's locations.
        name: the job's name.
        location: the location's name, needed when several have a job of this name.
        instance: where stored locations are read and given ones are published.
        publish: whether given code is stored in the instance, so that its job can be launched.

    Raises:
        JobNotFoundError: no job has this name, or several locations have one.
    """
    if targets:
        snapshots = [load_location(target).snapshot for target in targets]
        if publish and instance is not None:
            for snapshot in snapshots:
                instance.storage.locations.put(snapshot)
    elif instance is not None:
        snapshots = stored_locations(instance)
    else:
        snapshots = known_locations(targets)
    found = [(item, item.job_by_name[name]) for item in _named(snapshots, location) if name in item.job_by_name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(item.name for item, _ in found)
        raise JobNotFoundError(f"Several locations have a job '{name}': {names}. Name one with --location.")
    if not snapshots:
        raise JobNotFoundError(
            f"No job '{name}': the instance knows no code location. Start `orchord worker -m MODULE`, or give -m or -f."
        )
    known = [key for item in snapshots for key in item.job_by_name]
    raise JobNotFoundError(f"No job '{name}'.{did_you_mean(name, known)}")


def select_assets(snapshot: LocationSnapshot, selection: str | None, *, to_make: bool = True) -> tuple[str, ...] | None:
    """Return the keys, as user strings, that a selection's text names in a location; None stays None.

    Args:
        snapshot: the location.
        selection: the text, such as ``+key or group:x``.
        to_make: whether only assets that can be made are wanted.

    Raises:
        InvalidSubsetError: the text cannot be read, or selects nothing that can be made.
    """
    if selection is None:
        return None
    graph = AssetGraph.from_snapshot(snapshot)
    rule = AssetSelection.from_string(selection, include_sources=not to_make)
    chosen = rule.resolve_to_make(graph) if to_make else rule.resolve(graph)
    return tuple(item.key for item in snapshot.assets if AssetKey.from_user_string(item.key) in chosen)


def _named(snapshots: list[LocationSnapshot], location: str | None) -> list[LocationSnapshot]:
    if location is None:
        return snapshots
    found = [item for item in snapshots if item.name == location]
    if not found:
        known = [item.name for item in snapshots]
        raise LocationNotFoundError(f"No code location '{location}'.{did_you_mean(location, known)}")
    return found
