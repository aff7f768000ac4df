"""What user code asks of its instance: runs, and what happened to assets. The names are the field's.

The stores themselves are ``instance.storage``; launching is running.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.event_views import EventLogEntry
from orchord.events import Event, EventType, utc_now
from orchord.runs import Run
from orchord.storage import RunFilter

if TYPE_CHECKING:
    from orchord.definitions.asset_key import CoercibleToAssetKey
    from orchord.storage import Storage


_PAGE = 1000


class InstanceReaders:
    """The part of an instance that ops, assets and sensors use."""

    storage: Storage

    def get_run_by_id(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        return self.storage.runs.find(run_id)

    def get_runs(
        self, filters: RunFilter | None = None, cursor: str | None = None, limit: int | None = None
    ) -> list[Run]:
        """Return runs, newest first.

        Args:
            filters: which; all when left out.
            cursor: the id of the run after which to begin.
            limit: how many at most; all when left out.
        """
        if limit is not None:
            return self.storage.runs.page(filters, limit=limit, before_run_id=cursor)
        found: list[Run] = []
        while page := self.storage.runs.page(filters, limit=_PAGE, before_run_id=cursor):
            found += page
            cursor = page[-1].run_id
            if len(page) < _PAGE:
                break
        return found

    def has_run(self, run_id: str) -> bool:
        """Return whether a run is recorded."""
        return self.storage.runs.status(run_id) is not None

    def get_events(
        self,
        run_id: str,
        types: Collection[str] | None = None,
        step_key: str | None = None,
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[EventLogEntry]:
        """Return what happened in a run, in order.

        Args:
            run_id: the run; of one that is not recorded, nothing is returned.
            types: only events of these types, such as ``[DagsterEventType.STEP_FAILURE]``.
            step_key: only those of this step.
            after_id: only those after the event with this id.
            limit: how many at most; all when left out.
        """
        found: list[EventLogEntry] = []
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self.storage.events.page(run_id, after_id, size, types, step_key)
            found += map(EventLogEntry, page)
            if len(page) < size:
                break
            after_id = page[-1].id
        return found

    def all_logs(self, run_id: str, of_type: EventType | Collection[EventType] | None = None) -> list[EventLogEntry]:
        """Return everything that happened in a run, log records of user code among it, in order."""
        return self.get_events(run_id, [of_type] if isinstance(of_type, EventType) else of_type)

    def has_asset_key(self, asset_key: CoercibleToAssetKey) -> bool:
        """Return whether a materialization or observation of an asset is recorded."""
        return self.storage.assets.has(AssetKey.from_coercible(asset_key).to_user_string())

    def all_asset_keys(self) -> list[AssetKey]:
        """Return the keys of all assets of which something is recorded, sorted."""
        return [AssetKey.from_user_string(key) for key in self.storage.assets.known_keys()]

    def get_latest_materialization_event(self, asset_key: CoercibleToAssetKey) -> EventLogEntry | None:
        """Return the newest materialization of an asset, or None."""
        return self.get_latest_materialization_events([asset_key])[AssetKey.from_coercible(asset_key)]

    def get_latest_materialization_events(
        self, asset_keys: Iterable[CoercibleToAssetKey]
    ) -> dict[AssetKey, EventLogEntry | None]:
        """Return the newest materialization of each asset, None for those without any."""
        keys = [AssetKey.from_coercible(key) for key in asset_keys]
        latest = self.storage.assets.latest([key.to_user_string() for key in keys])
        found = {key: latest.get(key.to_user_string()) for key in keys}
        return {key: None if stored is None else EventLogEntry(stored) for key, stored in found.items()}

    def get_materialization_events(
        self, asset_key: CoercibleToAssetKey, limit: int = 100, before_id: int | None = None
    ) -> list[EventLogEntry]:
        """Return the materializations of an asset, newest first; for the next ones give the last event's id."""
        key = AssetKey.from_coercible(asset_key).to_user_string()
        return [EventLogEntry(stored) for stored in self.storage.assets.history(key, limit, before_id)]

    def get_materializations_after(
        self, asset_keys: Iterable[CoercibleToAssetKey], after_id: int = 0, limit: int = 100
    ) -> list[EventLogEntry]:
        """Return the materializations of assets after an event, oldest first.

        Whoever goes on from the last one's id sees each of them once, also those that are written at the same time.

        Args:
            asset_keys: the assets.
            after_id: the id of the event after which to begin.
            limit: how many at most.
        """
        keys = [AssetKey.from_coercible(key).to_user_string() for key in asset_keys]
        return [EventLogEntry(stored) for stored in self.storage.assets.after(keys, after_id, limit)]

    def report_runless_asset_event(self, asset_event: AssetMaterialization | AssetObservation) -> EventLogEntry:
        """Record that an asset was made or observed outside of any run, and return the event as it is stored."""
        return EventLogEntry(self.storage.assets.report(runless_event(asset_event)))


def runless_event(asset_event: AssetMaterialization | AssetObservation) -> Event:
    """Return what is recorded of an asset that was made or observed outside of any run."""
    key = asset_event.asset_key.to_user_string()
    is_made = isinstance(asset_event, AssetMaterialization)
    metadata = {name: value.to_json() for name, value in asset_event.metadata.items()}
    data: Mapping[str, Any] = {"metadata": metadata, "tags": dict(asset_event.tags)}
    if asset_event.description:
        data = {**data, "description": asset_event.description}
    return Event(
        EventType.ASSET_MATERIALIZATION if is_made else EventType.ASSET_OBSERVATION,
        utc_now(),
        asset_event.description or f"{'Materialized' if is_made else 'Observed'} asset {key}",
        data=dict(data),
        asset_key=key,
        partition=asset_event.partition,
    )
