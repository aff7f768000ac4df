"""What the code locations define, as the API's routes look it up: by location, job and asset.

Everything is read from the snapshots that workers have published; user code is never imported. A decoded snapshot
is kept for as long as its location has that snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from orchord.api.problems import ProblemError
from orchord.errors import AssetNotFoundError, JobNotFoundError, LocationNotFoundError, did_you_mean
from orchord.snapshot import AssetSnapshot, JobSnapshot, LocationSnapshot

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance
    from orchord.storage import LocationRow


class KnownLocation(NamedTuple):
    """A code location's row, and its snapshot when its code could be loaded."""

    row: LocationRow
    snapshot: LocationSnapshot | None


class KnownAsset(NamedTuple):
    """An asset and the code location that defines it."""

    location: str
    asset: AssetSnapshot


def known_locations(instance: OrchordInstance, name: str | None = None) -> list[KnownLocation]:
    """Return every code location by name, or the one that is asked for.

    Raises:
        LocationNotFoundError: none has this name.
    """
    rows = sorted(instance.storage.locations.all(), key=lambda row: row.name)
    if name is not None:
        chosen = [row for row in rows if row.name == name]
        if not chosen:
            hint = did_you_mean(name, (row.name for row in rows))
            raise LocationNotFoundError(f"No code location is called '{name}'.{hint}")
        rows = chosen
    return [KnownLocation(row, instance.location_snapshot(row)) for row in rows]


def known_jobs(instance: OrchordInstance, location: str | None = None) -> list[tuple[str, JobSnapshot]]:
    """Return every job with its location's name, by location and name."""
    found = [
        (known.row.name, job)
        for known in known_locations(instance, location)
        if known.snapshot is not None
        for job in known.snapshot.jobs
    ]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def find_job(instance: OrchordInstance, name: str, location: str | None = None) -> tuple[str, JobSnapshot]:
    """Return one job and its location's name.

    Raises:
        LocationNotFoundError, JobNotFoundError: there is none.
        ProblemError: several locations have such a job (409).
    """
    jobs = known_jobs(instance, location)
    found = [(place, job) for place, job in jobs if job.name == name]
    if not found:
        where = f" in location '{location}'" if location is not None else ""
        raise JobNotFoundError(f"No job is called '{name}'{where}.{did_you_mean(name, (job.name for _, job in jobs))}")
    if len(found) > 1:
        places = ", ".join(place for place, _ in found)
        raise ProblemError(409, "ambiguous-job", f"Several locations have a job '{name}': {places}. Give the location.")
    return found[0]


def known_assets(instance: OrchordInstance, location: str | None = None) -> list[KnownAsset]:
    """Return every asset by key. Of a key that several locations know, that one comes first which makes it."""
    found = [
        KnownAsset(known.row.name, asset)
        for known in known_locations(instance, location)
        if known.snapshot is not None
        for asset in known.snapshot.assets
    ]
    return sorted(found, key=lambda known: (known.asset.key, not known.asset.is_materializable, known.location))


def find_asset(assets: Iterable[KnownAsset], key: str) -> KnownAsset:
    """Return the asset with this key; of several, the one that is made where it is defined.

    Raises:
        AssetNotFoundError: there is none.
    """
    keys = []
    for known in assets:
        if known.asset.key == key:
            return known
        keys.append(known.asset.key)
    raise AssetNotFoundError(f"No asset has the key '{key}'.{did_you_mean(key, keys)}")
