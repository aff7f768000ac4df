"""How chaos is shown: one table a line for each seed, one for the faults and the recovery from each, and the findings.

The same as JSON is for programs: the bounded form among the tests reads it.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from faults import Injected
from rich.console import Console
from rich.table import Table
from verdict import Verdict

ZERO = ("lost", "wrong", "doubled", "leaked", "ticks_missed", "ticks_doubled")


@dataclass
class SeedResult:
    """One seed: what was done to the stack, and what came of it."""

    seed: int
    faults: Sequence[Injected]
    verdict: Verdict
    seconds: float
    drained_seconds: float
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        verdict = self.verdict
        return {
            "seed": self.seed,
            "options": self.options,
            "faults": dict(Counter(fault.kind for fault in self.faults)),
            "runs": verdict.runs,
            **{name: len(getattr(verdict, name)) for name in ZERO},
            "ticks": verdict.ticks,
            "lost_attempts": verdict.lost_attempts,
            "repeated_requests": verdict.repeated_requests,
            "median_recovery_seconds": round(verdict.median_recovery(), 2),
            "worst_recovery_seconds": round(verdict.worst_recovery(), 2),
            "seconds": round(self.seconds, 1),
            "drained_seconds": round(self.drained_seconds, 1),
            "mistakes": verdict.mistakes,
        }


def show(console: Console, results: Sequence[SeedResult]) -> None:
    """Print the tables, then each mistake."""
    table = Table(title="Chaos: what came of it", title_justify="left")
    headings = ("seed", "faults", "runs", "lost", "wrong", "doubled", "slots leaked", "ticks", "missed", "doubled")
    for heading in (*headings, "steps lost and run again", "requests repeated", "recovery median", "worst", "seconds"):
        table.add_column(heading, justify="right")
    for result in results:
        verdict = result.verdict
        bad = [len(getattr(verdict, name)) for name in ZERO]
        marked = [f"[bold red]{count}[/]" if count else "[green]0[/]" for count in bad]
        table.add_row(
            str(result.seed), str(len(result.faults)), str(verdict.runs), *marked[:4], str(verdict.ticks), *marked[4:],
            str(verdict.lost_attempts), str(verdict.repeated_requests), f"{verdict.median_recovery():.1f} s",
            f"{verdict.worst_recovery():.1f} s", f"{result.seconds:.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(_fault_table(results))
    for result in results:
        for line in result.verdict.mistakes:
            console.print(f"[red]seed {result.seed}[/] ", end="")
            console.out(line, highlight=False)


def _fault_table(results: Sequence[SeedResult]) -> Table:
    table = Table(title="Time until all went on", title_justify="left")
    for heading in ("fault", "injected", "median", "worst"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    injected = Counter(fault.kind for result in results for fault in result.faults)
    for kind, count in injected.most_common():
        times = [seconds for result in results for seconds in result.verdict.recoveries.get(kind, [])]
        shown = (f"{statistics.median(times):.1f} s", f"{max(times):.1f} s") if times else ("-", "-")
        table.add_row(kind, str(count), *shown)
    return table
