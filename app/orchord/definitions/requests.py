"""What a schedule or sensor asks for when it is evaluated: runs, or a reason why there is none.

Turning a RunRequest into a run is the business of the instance; evaluating is tick.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.config.run_config import as_run_config
from orchord.definitions.tags import normalized_tags
from orchord.errors import InvalidDefinitionError


@dataclass(frozen=True, init=False)
class RunRequest:
    """Asks for one run.

    Args:
        run_key: runs with the same key are the same run: the second request of a sensor with it starts nothing. None:
            always a new run.
        run_config: the run's config: a dict or a RunConfig.
        tags: tags of the run.
        job_name: which job, when the schedule or sensor has several.
        asset_selection: only these assets of an asset job.
    """

    run_key: str | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    job_name: str | None = None
    asset_selection: tuple[AssetKey, ...] | None = None

    def __init__(
        self,
        run_key: str | None = None,
        run_config: Any = None,
        tags: Mapping[str, Any] | None = None,
        job_name: str | None = None,
        asset_selection: Sequence[CoercibleToAssetKey] | None = None,
    ) -> None:
        if run_key is not None and not isinstance(run_key, str):
            raise InvalidDefinitionError(
                f"RunRequest run_key is {run_key!r}; give a string, or None for always a new run."
            )
        if job_name is not None and not isinstance(job_name, str):
            raise InvalidDefinitionError(f"RunRequest job_name is {job_name!r}; give the job's name as text.")
        keys = None if asset_selection is None else tuple(AssetKey.from_coercible(key) for key in asset_selection)
        values = {
            "run_key": run_key,
            "run_config": {} if run_config is None else as_run_config(run_config),
            "tags": normalized_tags(tags, "a RunRequest"),
            "job_name": job_name,
            "asset_selection": keys,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def with_job_name(self, job_name: str) -> RunRequest:
        """Return a copy for this job."""
        copy = object.__new__(RunRequest)
        copy.__dict__.update(self.__dict__, job_name=job_name)
        return copy

    def with_tags(self, tags: Mapping[str, str]) -> RunRequest:
        """Return a copy to which these tags are added; those that it has stay."""
        copy = object.__new__(RunRequest)
        copy.__dict__.update(self.__dict__, tags={**tags, **self.tags})
        return copy


@dataclass(frozen=True)
class SkipReason:
    """Says why a schedule or sensor asks for no run this time."""

    skip_message: str | None = None

    def __post_init__(self) -> None:
        if self.skip_message is not None and not isinstance(self.skip_message, str):
            raise InvalidDefinitionError(f"A SkipReason is text, not {self.skip_message!r}. Convert it, by str().")


@dataclass(frozen=True)
class SensorResult:
    """Everything that one evaluation of a sensor can say.

    Args:
        run_requests: the runs that it asks for.
        skip_reason: why it asks for none; a string or a SkipReason.
        cursor: what the next evaluation gets as ``context.cursor``.
        asset_events: materializations and observations to record.

    Raises:
        InvalidDefinitionError: one of them is of another type, or there are both runs and a reason for none.
    """

    run_requests: Sequence[RunRequest] | None = None
    skip_reason: SkipReason | str | None = None
    cursor: str | None = None
    asset_events: Sequence[Any] = ()

    def __post_init__(self) -> None:
        if self.run_requests and self.skip_reason:
            raise InvalidDefinitionError(
                "SensorResult has both run_requests and skip_reason. Give a reason only when no run is asked for."
            )
        for name in ("run_requests", "asset_events"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, (list, tuple)):
                raise InvalidDefinitionError(f"SensorResult {name} is {value!r}. Give a list.")
        for request in self.run_requests or ():
            if not isinstance(request, RunRequest):
                raise InvalidDefinitionError(f"SensorResult run_requests holds {request!r}. Give RunRequests.")
        for event in self.asset_events or ():
            if not isinstance(event, (AssetMaterialization, AssetObservation)):
                raise InvalidDefinitionError(
                    f"SensorResult asset_events holds {event!r}. Give AssetMaterializations and AssetObservations."
                )
        if self.cursor is not None and not isinstance(self.cursor, str):
            raise InvalidDefinitionError(
                f"A cursor is a string, not {self.cursor!r}. Convert it, by str() or json.dumps()."
            )
        if self.skip_reason is not None and not isinstance(self.skip_reason, SkipReason):
            object.__setattr__(self, "skip_reason", SkipReason(self.skip_reason))


@dataclass(frozen=True)
class TickData:
    """What one evaluation came to. ``skip_message`` is set exactly if no run is asked for.

    ``has_more`` says that something was left for another evaluation, which may follow at once; ``is_done`` that the
    function did what it is for, though no run is asked for.
    """

    run_requests: tuple[RunRequest, ...] = ()
    skip_message: str | None = None
    cursor: str | None = None
    asset_events: tuple[Any, ...] = ()
    has_more: bool = False
    is_done: bool = False

    def with_requests(self, run_requests: Sequence[RunRequest]) -> TickData:
        """Return a copy with other requests."""
        return replace(self, run_requests=tuple(run_requests))


ScheduleExecutionData = TickData
SensorExecutionData = TickData
