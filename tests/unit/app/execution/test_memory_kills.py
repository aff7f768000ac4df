"""Reading from the control group whether the kernel killed for memory, in both of its versions."""

from __future__ import annotations

import threading
from pathlib import Path

from orchord.execution.processes.memory_kills import MemoryKills


def group(root: Path, events: str, limit: str, *, version: int) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    names = ("memory.events", "memory.max") if version == 2 else ("memory.oom_control", "memory.limit_in_bytes")
    (root / names[0]).write_text(events)
    (root / names[1]).write_text(limit)
    return root / names[0]


def test_version_2_counts_kills_at_the_groups_own_path_or_at_the_root_of_a_container(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("0::/docker/abc\n")
    inside = group(tmp_path / "root", "low 0\noom 1\noom_kill 1\n", "67108864\n", version=2)
    seen = MemoryKills.seen_now(tmp_path / "root", membership)
    assert (seen.count, seen.limit_bytes, seen.has_grown(0.0)) == (1, 64 << 20, False)
    inside.write_text("low 0\noom 2\noom_kill 2\n")
    assert seen.has_grown()
    group(tmp_path / "root" / "docker" / "abc", "oom_kill 5\n", "max\n", version=2)
    seen = MemoryKills.seen_now(tmp_path / "root", membership)
    assert (seen.count, seen.limit_bytes) == (5, None)


def test_version_1_counts_kills_and_a_huge_limit_is_none(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("7:memory:/docker/abc\n3:cpu,cpuacct:/x\n0::/\n")
    events = group(
        tmp_path / "memory", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "9223372036854771712", version=1
    )
    seen = MemoryKills.seen_now(tmp_path, membership)
    assert (seen.file, seen.count, seen.limit_bytes) == (events, 0, None)
    events.write_text("oom_kill 1\n")
    assert seen.has_grown()


def test_without_a_control_group_nothing_is_claimed(tmp_path: Path) -> None:
    seen = MemoryKills.seen_now(tmp_path, tmp_path / "no file")
    assert (seen.file, seen.has_grown(0.0)) == (None, False)


def test_a_kill_that_is_counted_a_moment_later_is_seen(tmp_path: Path) -> None:
    events = group(tmp_path, "oom_kill 0\n", "536870912\n", version=2)
    seen = MemoryKills.seen_now(tmp_path, tmp_path / "no file")
    later = threading.Timer(0.05, events.write_text, ["oom_kill 1\n"])
    later.start()
    assert seen.has_grown(within_seconds=60)
    later.join()


def test_the_limit_is_worded_for_people(tmp_path: Path) -> None:
    group(tmp_path, "oom_kill 0\n", "1610612736\n", version=2)
    assert MemoryKills.seen_now(tmp_path, tmp_path / "no file").limit_words == "limit 1,536 MiB"
    assert MemoryKills(None, 0, None).limit_words == "the machine's memory ran out"
