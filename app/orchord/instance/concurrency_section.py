"""The instance file's limits of runs and pools: ``concurrency``, and Dagster's older ways to say the same.

``run_queue`` is the coordinator's config at the top of the file, ``default_op_concurrency_limit`` the pools' default
limit. Two ways in one file are a mistake. What the queue does with the limits is run_limits.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchord.errors import did_you_mean
from orchord.instance.section_reader import expected, mapping_of, read_section, shown_value
from orchord.instance.sections import (
    ConcurrencySettings,
    Count,
    PoolSettings,
    RunConcurrencySettings,
    TagConcurrencyLimit,
)

# Keys of the queue's config that `concurrency` says in its own words.
_SAID_BY_RUNS = ("max_concurrent_runs", "tag_concurrency_limits")
_OLDER_DEFAULT_LIMIT = "default_op_concurrency_limit"
_PER_VALUE = "applyLimitPerUniqueValue"


def parse_concurrency(document: Mapping[str, Any], mistakes: list[str]) -> ConcurrencySettings:
    """Return the section as its value; what is wrong, also with the older ways, is added to ``mistakes``."""
    section = mapping_of("concurrency", document.get("concurrency"), mistakes)
    known = ("pools", "runs", _OLDER_DEFAULT_LIMIT)
    mistakes += [
        f"concurrency: unknown key '{key}'.{did_you_mean(str(key), known)}" for key in section if key not in known
    ]
    pools = read_section("concurrency.pools", section.get("pools"), PoolSettings, mistakes)
    if section.get(_OLDER_DEFAULT_LIMIT) is not None:
        if "pools" in section:
            mistakes.append(
                f"concurrency: {_OLDER_DEFAULT_LIMIT} and pools are both given. Keep pools, with its default_limit."
            )
        older = {"default_limit": section[_OLDER_DEFAULT_LIMIT]}
        found: list[str] = []
        pools = read_section("concurrency", older, PoolSettings, found)
        mistakes += [text.replace("concurrency.default_limit", f"concurrency.{_OLDER_DEFAULT_LIMIT}") for text in found]
    runs = _runs(section["runs"], mistakes) if section.get("runs") is not None else None
    if "pools" in section or "runs" in section:
        _complain_of_two_ways(document, mistakes)
    return ConcurrencySettings(pools=pools, runs=runs)


def parse_tag_limits(path: str, value: Any, mistakes: list[str]) -> tuple[TagConcurrencyLimit, ...]:
    """Return ``tag_concurrency_limits`` as values; what is wrong is added to ``mistakes``."""
    if value is None:
        return ()
    if not isinstance(value, list):
        mistakes.append(f"{path}: found {shown_value(value)}, expected a list of mappings with key, value and limit.")
        return ()
    limits = (_tag_limit(f"{path}[{number}]", item, mistakes) for number, item in enumerate(value))
    return tuple(limit for limit in limits if limit is not None)


def _runs(value: Any, mistakes: list[str]) -> RunConcurrencySettings:
    path = "concurrency.runs"
    tags = value.get("tag_concurrency_limits") if isinstance(value, dict) else None
    limits = parse_tag_limits(f"{path}.tag_concurrency_limits", tags, mistakes)
    return read_section(path, value, RunConcurrencySettings, mistakes, tag_concurrency_limits=limits)


def _tag_limit(path: str, item: Any, mistakes: list[str]) -> TagConcurrencyLimit | None:
    if not isinstance(item, dict):
        mistakes.append(f"{path}: found {shown_value(item)}, expected a mapping with key, value and limit.")
        return None
    before = len(mistakes)
    known = ("key", "value", "limit")
    mistakes += [f"{path}: unknown key '{key}'.{did_you_mean(str(key), known)}" for key in item if key not in known]
    key, value = item.get("key"), item.get("value")
    if not isinstance(key, str) or not key:
        mistakes.append(f"{path}.key: found {shown_value(key)}, expected a tag's name.")
    limit = 0
    try:
        limit = msgspec.convert(item.get("limit"), Count, strict=not isinstance(item.get("limit"), str))
    except msgspec.ValidationError:
        mistakes.append(f"{path}.limit: found {shown_value(item.get('limit'))}, expected {expected(Count)}.")
    per_value = False
    if isinstance(value, dict):
        if set(value) != {"applyLimitPerUniqueValue"} or not isinstance(value["applyLimitPerUniqueValue"], bool):
            mistakes.append(
                f"{path}.value: found {shown_value(value)}, expected text or applyLimitPerUniqueValue: true."
            )
        per_value = value.get("applyLimitPerUniqueValue") is True
        value = None
    elif value is not None and not isinstance(value, str):
        mistakes.append(f"{path}.value: found {shown_value(value)}, expected text. Put it in quotes.")
    if len(mistakes) > before:
        return None
    return TagConcurrencyLimit(key=str(key), limit=limit, value=value, per_unique_value=per_value)


def _complain_of_two_ways(document: Mapping[str, Any], mistakes: list[str]) -> None:
    coordinator = document.get("run_coordinator")
    elsewhere = {
        "run_queue": document.get("run_queue"),
        "run_coordinator.config": coordinator.get("config") if isinstance(coordinator, dict) else None,
    }
    for path, config in elsewhere.items():
        if not isinstance(config, dict):
            continue
        twice = [key for key in _SAID_BY_RUNS if config.get(key) is not None]
        blocked = config.get("block_op_concurrency_limited_runs")
        if isinstance(blocked, dict) and blocked.get("op_concurrency_slot_buffer") is not None:
            twice.append("block_op_concurrency_limited_runs.op_concurrency_slot_buffer")
        for key in twice:
            newer = "pools.op_granularity_run_buffer" if key not in _SAID_BY_RUNS else f"runs.{key}"
            mistakes.append(f"{path}.{key}: cannot be given beside concurrency. Say it there, as {newer}.")
