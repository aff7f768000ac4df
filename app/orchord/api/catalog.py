"""What the code locations define, as the API's routes look it up: locations, jobs, assets.

Everything is read from the snapshots that workers have published; user code is never imported. One job is found by
orchord.instance.launch, as launching finds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from orchord.errors import AssetNotFoundError, LocationNotFoundError, did_you_mean
from orchord.snapshot import AssetSnapshot, JobSnapshot

if TYPE_CHECKING:
    from orchord.storage import LocationRow, Storage


class KnownAsset(NamedTuple):
    """An asset and the code location that defines it."""

    location: str
    asset: AssetSnapshot


def known_locations(storage: Storage, name: str | None = None) -> list[LocationRow]:
    """Return every code location by name, or the one that is asked for.

    Raises:
        LocationNotFoundError: none has this name.
    """
    rows = storage.locations.all()
    if name is None:
        return rows
    chosen = [row for row in rows if row.name == name]
    if not chosen:
        hint = did_you_mean(name, (row.name for row in rows))
        raise LocationNotFoundError(f"No code location is called '{name}'.{hint}")
    return chosen


def known_jobs(storage: Storage, location: str | None = None) -> list[tuple[str, JobSnapshot]]:
    """Return every job with its location's name, by location and name."""
    found = [
        (row.name, job)
        for row in known_locations(storage, location)
        if row.snapshot is not None
        for job in row.snapshot.jobs
    ]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def known_assets(storage: Storage, location: str | None = None) -> list[KnownAsset]:
    """Return every asset by key. Of a key that several locations know, that one comes first which makes it."""
    found = [
        KnownAsset(row.name, asset)
        for row in known_locations(storage, location)
        if row.snapshot is not None
        for asset in row.snapshot.assets
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
