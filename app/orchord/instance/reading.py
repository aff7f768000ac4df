"""What user code asks of its instance: runs, and what happened to assets. The names are the field's.

The stores themselves are ``instance.storage``; launching is running.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.events import Event, EventType, StoredEvent, utc_now
from orchord.runs import Run
from orchord.storage import RunFilter

if TYPE_CHECKING:
    from orchord.definitions.asset_key import CoercibleToAssetKey
    from orchord.storage import Storage


class InstanceReaders:
    """The part of an instance that ops, assets and sensors use."""

    storage: Storage

    def get_run_by_id(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        return self.storage.runs.find(run_id)

    def get_runs(
        self, filters: RunFilter | None = None, cursor: str | None = None, limit: int | None = None
    ) -> list[Run]:
        """Return runs, newest first. ``cursor`` is the id of the run after which the page begins."""
        return self.storage.runs.page(filters, limit=limit if limit is not None else 1000, before_run_id=cursor)

    def has_asset_key(self, asset_key: CoercibleToAssetKey) -> bool:
        """Return whether a materialization or observation of an asset is recorded."""
        return self.storage.assets.has(AssetKey.from_coercible(asset_key).to_user_string())

    def all_asset_keys(self) -> list[AssetKey]:
        """Return the keys of all assets of which something is recorded, sorted."""
        return [AssetKey.from_user_string(key) for key in self.storage.assets.known_keys()]

    def get_latest_materialization_event(self, asset_key: CoercibleToAssetKey) -> StoredEvent | None:
        """Return the newest materialization of an asset, or None."""
        key = AssetKey.from_coercible(asset_key).to_user_string()
        return self.storage.assets.latest([key]).get(key)

    def get_latest_materialization_events(
        self, asset_keys: Iterable[CoercibleToAssetKey]
    ) -> dict[AssetKey, StoredEvent | None]:
        """Return the newest materialization of each asset, None for those without any."""
        keys = [AssetKey.from_coercible(key) for key in asset_keys]
        latest = self.storage.assets.latest([key.to_user_string() for key in keys])
        return {key: latest.get(key.to_user_string()) for key in keys}

    def report_runless_asset_event(self, asset_event: AssetMaterialization | AssetObservation) -> StoredEvent:
        """Record that an asset was made or observed outside of any run, and return the event as it is stored."""
        key = asset_event.asset_key.to_user_string()
        is_made = isinstance(asset_event, AssetMaterialization)
        metadata = {name: value.to_json() for name, value in asset_event.metadata.items()}
        data: Mapping[str, Any] = {"metadata": metadata, "tags": dict(asset_event.tags)}
        if asset_event.description:
            data = {**data, "description": asset_event.description}
        event = Event(
            EventType.ASSET_MATERIALIZATION if is_made else EventType.ASSET_OBSERVATION,
            utc_now(),
            asset_event.description or f"{'Materialized' if is_made else 'Observed'} asset {key}",
            data=dict(data),
            asset_key=key,
            partition=asset_event.partition,
        )
        return self.storage.assets.report(event)
