"""What the two health routes answer.

The checks themselves are in routes/health.py.
"""

from __future__ import annotations

from typing import Literal

from orchord.api.models.foundation import AnswerModel


class CheckBody(AnswerModel):
    """One thing that readiness depends on."""

    name: str
    is_ok: bool
    detail: str


class ReadinessBody(AnswerModel):
    """Ready: everything needed can be reached."""

    status: Literal["ready"]
    checks: list[CheckBody]


class LivenessBody(AnswerModel):
    """The process answers."""

    status: Literal["alive"]
    version: str
