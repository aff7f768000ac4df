"""What happened to assets: the latest materialization of each, its history, and reports from outside of runs.

Events of runs come here by the hot paths; the asset graph itself is in code locations' snapshots.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from orchord.errors import InvariantViolationError
from orchord.events import Event, EventType, StoredEvent
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, decode_data
from orchord.storage.hot_path import HotPath
from orchord.storage.schema import asset_events, assets

_KINDS = (EventType.ASSET_MATERIALIZATION, EventType.ASSET_OBSERVATION)


class AssetStore:
    """The asset events of one database. Keys are user strings: parts joined by ``/``."""

    def __init__(self, database: Database, hot_path: HotPath) -> None:
        self._database = database
        self._hot_path = hot_path

    def latest(
        self, keys: Collection[str] | None = None, kind: EventType = EventType.ASSET_MATERIALIZATION
    ) -> dict[str, StoredEvent]:
        """Return the newest event of this kind for each key that has one; without keys, for every asset."""
        newest = assets.c.materialization_id if kind is EventType.ASSET_MATERIALIZATION else assets.c.observation_id
        query = sa.select(asset_events).join(assets, newest == asset_events.c.id)
        if keys is not None:
            query = query.where(assets.c.asset_key.in_(list(keys)))
        return {row.asset_key: _stored(row) for row in self._database.rows(query)}

    def history(
        self,
        key: str,
        limit: int = 100,
        before_id: int | None = None,
        kinds: Collection[EventType] = (EventType.ASSET_MATERIALIZATION,),
    ) -> list[StoredEvent]:
        """Return an asset's events, newest first, at most ``limit``; for the next page give the last event's id."""
        query = sa.select(asset_events).where(
            asset_events.c.asset_key == key, asset_events.c.type.in_([kind.value for kind in kinds])
        )
        if before_id is not None:
            query = query.where(asset_events.c.id < before_id)
        rows = self._database.rows(query.order_by(asset_events.c.id.desc()).limit(limit))
        return [_stored(row) for row in rows]

    def known_keys(self) -> list[str]:
        """Return the keys of all assets that something has happened to, sorted."""
        return [row.asset_key for row in self._database.rows(sa.select(assets.c.asset_key).order_by(assets.c.asset_key))]

    def report(self, event: Event) -> None:
        """Store a materialization or observation that no run made."""
        if event.asset_key is None or event.type not in _KINDS:
            raise InvariantViolationError(
                f"An event of type {event.type} for asset {event.asset_key!r} cannot be reported. "
                "Report an ASSET_MATERIALIZATION or ASSET_OBSERVATION with its asset key."
            )
        self._hot_path.append("", [event])


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredEvent:
    moment = as_utc(row.timestamp)
    assert moment is not None
    data = decode_data(row.data)
    event = Event(
        row.type, moment, row.message, row.step_key, data=data, asset_key=row.asset_key, partition=row.partition
    )
    return StoredEvent(row.id, row.run_id, event)
