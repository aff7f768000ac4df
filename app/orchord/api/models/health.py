"""What the two health routes answer.

The checks themselves are in routes/health.py.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchord.api.models.foundation import AnswerModel


class CheckBody(AnswerModel):
    """One thing that readiness depends on."""

    name: str
    is_ok: bool
    status: Literal["ok", "warning", "failed"] = Field(
        description="warning: runs can be started and carried out all the same."
    )
    detail: str


class ReadinessBody(AnswerModel):
    """Ready: everything that runs need can be reached. Look at the checks for warnings."""

    status: Literal["ready"]
    checks: list[CheckBody]


class LivenessBody(AnswerModel):
    """The process answers."""

    status: Literal["alive"]
    version: str
