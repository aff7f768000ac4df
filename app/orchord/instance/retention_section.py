"""The instance file's ``retention``: days as one number for every status, or a mapping by status.

What the days mean is in sections.py; the daemon does the removing.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from orchord.errors import did_you_mean
from orchord.instance.section_reader import expected, mapping_of, read_section, shown_value
from orchord.instance.sections import Days, RetentionSettings, TickRetention

R = TypeVar("R", bound=msgspec.Struct)

# Ticks of automation conditions: Dagster's users have the key, and there are no such ticks.
_WITHOUT_TICKS = "auto_materialize"
# As in Dagster, 0 keeps too: nobody means to lose what has just been written.
_NEVER = -1


def parse_retention(value: Any, mistakes: list[str]) -> RetentionSettings:
    """Return the section as its value; what is wrong is added to ``mistakes``."""
    section = mapping_of("retention", value, mistakes)
    default = RetentionSettings()
    known = (*RetentionSettings.__struct_fields__, _WITHOUT_TICKS)
    mistakes += [
        f"retention: unknown key '{key}'.{did_you_mean(str(key), known)}" for key in section if key not in known
    ]
    if _WITHOUT_TICKS in section:
        _part(_WITHOUT_TICKS, section[_WITHOUT_TICKS], TickRetention(), mistakes)
    return RetentionSettings(
        schedule=_part("schedule", section.get("schedule"), default.schedule, mistakes),
        sensor=_part("sensor", section.get("sensor"), default.sensor, mistakes),
        run=_part("run", section.get("run"), default.run, mistakes),
    )


def _part(name: str, value: Any, default: R, mistakes: list[str]) -> R:
    path = f"retention.{name}"
    part = mapping_of(path, value, mistakes)
    mistakes += [f"{path}: unknown key '{key}'. Known: purge_after_days." for key in part if key != "purge_after_days"]
    days = part.get("purge_after_days")
    path = f"{path}.purge_after_days"
    if days is None:
        return default
    if isinstance(days, dict):
        by_status = {key: item for key, item in days.items() if item is not None}
        given = read_section(path, by_status, type(default), mistakes)
        named = {key: getattr(given, key) or _NEVER for key in by_status if key in default.__struct_fields__}
        return msgspec.structs.replace(default, **named)
    try:
        if isinstance(days, bool):
            raise msgspec.ValidationError("a switch where days are meant")
        number = msgspec.convert(days, Days, strict=not isinstance(days, str))
    except msgspec.ValidationError:
        mistakes.append(f"{path}: found {shown_value(days)}, expected {expected(Days)}, or a mapping by status.")
        return default
    return type(default)(**dict.fromkeys(default.__struct_fields__, number or _NEVER))
