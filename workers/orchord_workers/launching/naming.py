"""What containers are called and labelled: the same for every try at starting the same thing, whoever tries.

Names are DNS labels (RFC 1123, at most 63 letters), as Kubernetes wants them. What the labels mean is platform.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from orchord.spi import LaunchKey, Run
from orchord_workers.containers.platform import (
    ATTEMPT_LABEL,
    JOB_LABEL,
    LOCATION_LABEL,
    OWNER_LABEL,
    RUN_LABEL,
    STEP_LABEL,
)

_LONGEST_SLUG = 24
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


def step_container_name(run_id: str, step_key: str, attempt: int) -> str:
    """Return the name of the container of one attempt."""
    slug = _NOT_IN_NAMES.sub("-", step_key.lower()).strip("-")[:_LONGEST_SLUG].strip("-") or "step"
    # Of a run's id the end: it begins with the time, which runs of the same minute share.
    run_part = _NOT_IN_NAMES.sub("", run_id.lower())[-8:]
    digest = hashlib.sha256(f"{run_id}\n{step_key}".encode()).hexdigest()[:10]
    return f"orchord-{run_part}-{slug}-{digest}-{attempt}"


def run_container_name(run_id: str, number: int) -> str:
    """Return the name of a container that carries a whole run out: the ``number``-th try."""
    return f"orchord-run-{_NOT_IN_NAMES.sub('-', run_id.lower()).strip('-')[:40]}-{number}"


def labels_of(owner: str, run: Run, step_key: str = "", attempt: int = 0) -> dict[str, str]:
    """Return the labels of a container; without a step, of one that carries a whole run out."""
    labels = {OWNER_LABEL: owner, RUN_LABEL: run.run_id, JOB_LABEL: run.job_name, LOCATION_LABEL: run.location}
    if step_key:
        labels |= {STEP_LABEL: step_key, ATTEMPT_LABEL: str(attempt)}
    return labels


def key_of(labels: Mapping[str, str]) -> LaunchKey | None:
    """Return what a container was started for; None when its labels are none of ours."""
    run_id, step_key = labels.get(RUN_LABEL), labels.get(STEP_LABEL, "")
    attempt = labels.get(ATTEMPT_LABEL, "0")
    if not run_id or not attempt.isdecimal():
        return None
    return LaunchKey(run_id, step_key, int(attempt))
