"""What a multi-asset sensor's function is given: the materializations of many assets, and a cursor for each of them.

The cursor's text is JSON: for each asset the id of the event up to which it is consumed or, with partitions that were
passed over, a list of that id and the ids of those. The sensors themselves are in asset_sensors.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.sensor_definition import SensorEvaluationContext
from orchord.errors import InvariantViolationError

MAX_RECORDS = 1000
# As many partitions are kept in mind that were passed over; of more, the oldest are forgotten.
MAX_TRAILING = 100


class MultiAssetSensorEvaluationContext(SensorEvaluationContext):
    """What a multi-asset sensor's function is given. Its cursor is kept per asset."""

    def __init__(self, monitored_assets: Sequence[AssetKey] = (), **options: Any) -> None:
        super().__init__(**options)
        self.asset_keys = tuple(monitored_assets)
        self._latest: dict[AssetKey, Any] | None = None

    def latest_materialization_records_by_key(
        self, asset_keys: Iterable[AssetKey] | None = None
    ) -> dict[AssetKey, Any]:
        """Return for each asset its newest materialization that is newer than the asset's cursor, or None."""
        cursors = self._cursors()
        newest = self._newest()
        wanted = self.asset_keys if asset_keys is None else tuple(asset_keys)
        return {
            key: event if (event := newest.get(key)) is not None and event.id > _consumed(cursors, key) else None
            for key in wanted
        }

    def materialization_records_for_key(self, asset_key: CoercibleToAssetKey, limit: int | None = None) -> list[Any]:
        """Return every materialization of an asset that is newer than its cursor, oldest first.

        Args:
            asset_key: the asset.
            limit: how many at most; 1,000 when left out.
        """
        key = AssetKey.from_coercible(asset_key)
        size = MAX_RECORDS if limit is None else limit
        return list(self.instance.get_materializations_after([key], _consumed(self._cursors(), key), size))

    def get_trailing_unconsumed_events(self, asset_key: CoercibleToAssetKey) -> list[Any]:
        """Return the newest events of partitions that ``advance_cursor`` passed over, oldest first.

        An event is consumed when it is given to ``advance_cursor`` itself.
        """
        key = AssetKey.from_coercible(asset_key)
        wanted = set(_trailing(self._cursors(), key))
        found: list[Any] = []
        before = max(wanted, default=0) + 1
        while wanted and (page := self.instance.get_materialization_events(key, MAX_RECORDS, before)):
            found += [event for event in page if event.id in wanted]
            before = page[-1].id
            if before <= min(wanted):
                break
        return found[::-1]

    def get_cursor_by_asset(self, asset_key: AssetKey) -> int | None:
        """Return the id of the event up to which an asset was consumed."""
        return _consumed(self._cursors(), asset_key) or None

    def advance_cursor(self, materialization_records_by_key: Mapping[AssetKey, Any]) -> None:
        """Consume events: later evaluations do not see them again, nor older ones.

        Partitions that are passed over by this stay to be had from ``get_trailing_unconsumed_events``.

        Args:
            materialization_records_by_key: for each asset an event, several, or a mapping of partitions to events.
        """
        cursors = self._cursors()
        for given, value in materialization_records_by_key.items():
            key = AssetKey.from_coercible(given)
            events = sorted(_events(value), key=lambda event: int(event.id))
            if not events:
                continue
            old = _consumed(cursors, key)
            new = max(old, events[-1].id)
            partitions = {event.partition_key for event in events}
            consumed = {event.id for event in events}
            trailing = {event_id for event_id in _trailing(cursors, key) if event_id not in consumed}
            if old and events[-1].partition_key is not None:
                trailing |= self._passed_over(key, old, new, partitions)
            kept = sorted(trailing)[-MAX_TRAILING:]
            cursors[str(key)] = [new, *kept] if kept else new
        self.update_cursor(json.dumps(cursors, sort_keys=True))

    def advance_all_cursors(self) -> None:
        """Consume every event of every asset, those that were passed over too."""
        cursors = self._cursors()
        cursors.update({str(key): event.id for key, event in self._newest().items() if event is not None})
        self.update_cursor(json.dumps(cursors, sort_keys=True))

    def _passed_over(self, key: AssetKey, old: int, new: int, partitions: set[str | None]) -> set[int]:
        """Return the newest event of each other partition between two cursors."""
        found: dict[str, int] = {}
        for event in self.instance.get_materialization_events(key, MAX_RECORDS, new):
            if event.id <= old:
                break
            partition = event.partition_key
            if partition is not None and partition not in partitions:
                found.setdefault(partition, event.id)
        return set(found.values())

    def _newest(self) -> dict[AssetKey, Any]:
        if self._latest is None:
            self._latest = self.instance.get_latest_materialization_events(self.asset_keys)
        return self._latest

    def _cursors(self) -> dict[str, int | list[int]]:
        if not self.cursor:
            return {}
        try:
            found = json.loads(self.cursor)
        except ValueError:
            found = None
        if isinstance(found, dict) and all(_is_consumed_mark(value) for value in found.values()):
            return found
        raise InvariantViolationError(
            f"The cursor of multi-asset sensor '{self.sensor_name}' is {self.cursor!r}, and no JSON of assets and ids"
            " of events. Delete it, to begin anew."
        )


def _is_consumed_mark(value: Any) -> bool:
    ids = value if isinstance(value, list) and value else [value]
    return all(isinstance(one, int) for one in ids)


def _consumed(cursors: Mapping[str, int | list[int]], key: AssetKey) -> int:
    value = cursors.get(str(key), 0)
    return value[0] if isinstance(value, list) else value


def _trailing(cursors: Mapping[str, int | list[int]], key: AssetKey) -> list[int]:
    value = cursors.get(str(key), 0)
    return value[1:] if isinstance(value, list) else []


def _events(value: Any) -> Iterator[Any]:
    if value is None:
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    for event in value if isinstance(value, (list, tuple)) else [value]:
        if event is not None:
            yield event
