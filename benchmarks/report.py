"""What the figures must reach, whether they do, and how that is shown: a table for people, JSON for programs.

Figures are ratios of two sides measured in one run on one machine, or times; where they come from is bench.py and
daemon.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Measure:
    """One line of the report: what is measured, the value that is required, and the goal beyond it.

    ``at_most`` says whether small values are good. ``unit`` is written behind the values.
    """

    key: str
    title: str
    required: float
    goal: float
    at_most: bool = True
    unit: str = ""

    def reaches(self, value: float, limit: float) -> bool:
        return value <= limit if self.at_most else value >= limit


MEASURES = (
    Measure("numbers", "numbers job (6 steps), trigger to end / bare canvas", 1.5, 1.0),
    Measure("chain_40", "chain of 40, trigger to end / bare canvas", 1.5, 1.0),
    Measure("fan_in_200", "fan-in of 200, trigger to end / bare canvas", 1.5, 1.0),
    Measure("throughput", "runs per second, 200 numbers jobs at once / bare canvas", 0.6, 1.0, at_most=False),
    Measure("chain_growth", "time per step, chain of 1,000 / chain of 40", 1.2, 1.0),
    Measure("dagster", "trigger to end of the numbers job, Dagster / Orchord", 100, 250, at_most=False),
    Measure("memory", "memory at rest (servers, daemon, worker), Orchord / Dagster", 0.5, 0.5),
    Measure("in_process", "execute_in_process of the numbers job", 20, 5, unit=" ms"),
    Measure("capture", "capture of one step's output, by descriptors, with one line printed", 1, 0.2, unit=" ms"),
    Measure(
        "import", "import orchord, with op, job, asset and Definitions, in a fresh interpreter", 250, 100, unit=" ms"
    ),
)


def verdict(measure: Measure, value: float) -> str:
    """Return ``goal``, ``holds`` or ``misses``."""
    if measure.reaches(value, measure.goal):
        return "goal"
    return "holds" if measure.reaches(value, measure.required) else "misses"


def rows(
    values: dict[str, float], details: dict[str, str], measures: Sequence[Measure] = MEASURES
) -> list[dict[str, Any]]:
    """Return one row for each measure that has a value."""
    return [
        {
            "key": measure.key,
            "measure": measure.title,
            "value": round(values[measure.key], 3),
            "unit": measure.unit.strip(),
            "required": measure.required,
            "goal": measure.goal,
            "smaller_is_better": measure.at_most,
            "verdict": verdict(measure, values[measure.key]),
            "detail": details.get(measure.key, ""),
        }
        for measure in measures
        if measure.key in values
    ]


def show(console: Console, found: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Orchord's figures", title_justify="left")
    for heading, justify in (
        ("measure", "left"),
        ("measured", "right"),
        ("required", "right"),
        ("goal", "right"),
        ("verdict", "left"),
        ("medians", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    colour = {"goal": "bold green", "holds": "green", "misses": "bold red"}
    for row in found:
        sign, unit = ("<=" if row["smaller_is_better"] else ">="), f" {row['unit']}" if row["unit"] else ""
        table.add_row(
            row["measure"],
            f"{row['value']:.2f}{unit}" if row["value"] < 100 else f"{row['value']:.0f}{unit}",
            f"{sign} {row['required']:g}{unit}",
            f"{row['goal']:g}{unit}",
            f"[{colour[row['verdict']]}]{row['verdict']}[/]",
            row["detail"],
        )
    console.print(table)


def markdown(found: list[dict[str, Any]], line: Callable[[str], object]) -> None:
    """Give the table's lines in Markdown, as README.md shows it."""
    line("| measure | measured | required | goal | medians |")
    line("|---|---|---|---|---|")
    for row in found:
        sign, unit = ("≤" if row["smaller_is_better"] else "≥"), f" {row['unit']}" if row["unit"] else ""
        value = f"{row['value']:.2f}" if row["value"] < 100 else f"{row['value']:.0f}"
        mark = f"**{value}{unit}** (misses)" if row["verdict"] == "misses" else f"{value}{unit}"
        limits = f"{sign} {row['required']:g}{unit} | {row['goal']:g}{unit}"
        line(f"| {row['measure']} | {mark} | {limits} | {row['detail']} |")
