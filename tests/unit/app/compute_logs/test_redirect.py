"""Turning descriptors 1 and 2, in a process of its own where they may be closed or replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from orchord.compute_logs.redirect import redirected
{before}
opened = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
target = os.dup2(opened, 30)
os.close(opened)
with redirected(target, target):
    {inside}
{after}
"""


def run(path: Path, *, before: str = "", inside: str, after: str = "") -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(before=before, path=str(path), inside=inside, after=after)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


def test_what_was_buffered_before_goes_where_it_belonged(tmp_path: Path) -> None:
    done = run(tmp_path / "log", before="sys.stdout.write('before ')", inside="print('inside')", after="print('after')")
    assert done.stdout == "before after\n"
    assert (tmp_path / "log").read_text() == "inside\n"


def test_streams_that_are_no_descriptors_are_caught_and_put_back(tmp_path: Path) -> None:
    done = run(
        tmp_path / "log",
        before="import io; sys.stdout = held = io.StringIO()",
        inside="print('inside')",
        after="assert sys.stdout is held and not held.getvalue()",
    )
    assert done.stdout == ""
    assert (tmp_path / "log").read_text() == "inside\n"


def test_a_reference_to_the_old_stream_writes_to_the_file_too(tmp_path: Path) -> None:
    done = run(tmp_path / "log", before="old = sys.stdout", inside="old.write('by the old name')", after="print('x')")
    assert (tmp_path / "log").read_text() == "by the old name"
    assert done.stdout == "x\n"


def test_a_closed_descriptor_is_closed_again(tmp_path: Path) -> None:
    run(
        tmp_path / "log",
        before="sys.stdout = sys.__stdout__ = None; os.close(0); os.open('/dev/null', os.O_RDONLY); os.close(1)",
        inside="print('inside')",
        after="import fcntl; assert fcntl.fcntl(2, fcntl.F_DUPFD, 0) == 1",
    )
    assert (tmp_path / "log").read_text() == "inside\n"


def test_text_that_cannot_be_encoded_does_not_fail_the_step(tmp_path: Path) -> None:
    run(tmp_path / "log", inside="print('lone \\udc80')")
    assert (tmp_path / "log").read_text() == "lone \\udc80\n"
