"""Which values of a run's config are secrets: those that environment variables give.

Only the values are wanted here, to hide them; putting them into config is definitions/config/env.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchord.execution.masking import NOTHING_SECRET, Masker
from orchord.settings import environment_value

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig


def masker_of(job: JobDefinition, resolved: ResolvedRunConfig) -> Masker:
    """Return what hides the secrets of a run's config in its events."""
    names: set[str] = set()
    for part in (resolved.ops, resolved.inputs, resolved.resources):
        names.update(_env_names(part))
    # What stands in no config: variables in the fields of nested resources, and in configured() definitions.
    for definition in job.resource_defs.values():
        names.update(definition.env_var_names)
    values = [value for name in names if (value := environment_value(name)) is not None]
    return Masker(values) if values else NOTHING_SECRET


def _env_names(value: Any) -> Iterator[str]:
    name = getattr(value, "env_var_name", None)
    if isinstance(name, str):
        yield name
    elif isinstance(value, Mapping):
        if len(value) == 1 and isinstance(value.get("env"), str):
            yield value["env"]
        for item in value.values():
            yield from _env_names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _env_names(item)
