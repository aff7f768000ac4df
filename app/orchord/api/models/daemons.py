"""Daemons as they report themselves: the processes that look at the clock, and which of them leads.

What they do is orchord_beat's; who lists them is routes/daemons.py.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from orchord.api.models.foundation import AnswerModel


class DaemonBody(AnswerModel):
    """One daemon."""

    daemon_id: str
    hostname: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    is_alive: bool = Field(description="Whether it has reported itself of late.")
    is_leader: bool = Field(description="Whether it is the one that makes ticks.")
    errors: dict[str, str] = Field(description="What went wrong last in its loops, by loop; empty: nothing.")


class DaemonList(AnswerModel):
    """Every daemon that is known, the leader first."""

    items: list[DaemonBody]
