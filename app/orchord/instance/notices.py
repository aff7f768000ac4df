"""What of the instance file changes nothing, a line each: for the start-up log and for `orchord instance info`.

Keys that are wrong are mistakes and no matter of this module; they are found where each section is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchord.instance.plugins import KNOWN_CLASSES, PluginSpec

# Sections that Dagster's users have and that change nothing here, with what that means for them.
SECTIONS_WITHOUT_EFFECT: Mapping[str, str] = {
    "auto_materialize": "automation conditions are not evaluated",
    "backfills": "there are no backfills",
    "code_servers": "there are no code servers: workers hold the code",
    "defs_state_storage": "no state of definitions is kept",
    "freshness": "freshness is not evaluated",
    "instance_class": "the instance's class is always OrchordInstance",
    "nux": "there is no introduction to turn off",
    "python_logs": "records of Python's loggers are not captured",
    "secrets": "secrets come from the environment",
    "telemetry": "nothing is ever sent",
}

_THREADS = "each tick runs in a process of its own in any case, so that it can be stopped"
_SUBMITTERS = "the runs of a tick are recorded in one transaction, without threads"
_USER_CODE = "runs are dequeued without asking user code, so that nothing of it can fail"

_CELERY = "the section celery says it for all launchers"

# Single keys, by their path, that change nothing.
_KEYS_WITHOUT_EFFECT: Mapping[str, str] = {
    "sensors.use_threads": _THREADS,
    "sensors.num_submit_workers": _SUBMITTERS,
    "schedules.use_threads": _THREADS,
    "schedules.num_submit_workers": _SUBMITTERS,
    "retention.auto_materialize": "there are no ticks of automation conditions",
    "run_monitoring.free_slots_after_run_end_seconds": "a slot is freed in the transaction that ends its step",
    "run_monitoring.max_resume_run_attempts": "a run has no process that could be lost: its steps are run again one "
    "by one, up to three times each",
    "run_monitoring.poll_interval_seconds": "unfinished runs are looked at every second",
    "run_monitoring.cancellation_thread_poll_interval_seconds": "every worker looks for cancellations each 2 seconds",
    "run_launcher.config.backend": _CELERY,
    "run_launcher.config.broker": _CELERY,
    "run_launcher.config.config_source": _CELERY,
    "run_launcher.config.include": _CELERY,
    "run_launcher.config.retries": "the executor's config says whether steps are retried",
    "run_launcher.config.fail_pod_on_run_failure": "a pod has done its work when the run's end is stored",
    "run_coordinator.config.max_user_code_failure_retries": _USER_CODE,
    "run_coordinator.config.user_code_failure_retry_delay": _USER_CODE,
    "run_queue.max_user_code_failure_retries": _USER_CODE,
    "run_queue.user_code_failure_retry_delay": _USER_CODE,
}


def notices_of(document: Mapping[str, Any], plugins: tuple[PluginSpec, ...]) -> Iterator[str]:
    """Yield a line for each part of a file that changes nothing.

    Args:
        document: the file, without mistakes.
        plugins: the classes that it names.
    """
    for section, meaning in SECTIONS_WITHOUT_EFFECT.items():
        if section in document:
            yield f"{section}: {meaning}"
    for path, meaning in _KEYS_WITHOUT_EFFECT.items():
        if _is_given(document, path):
            yield f"{path}: {meaning}"
    coordinators = [spec.class_name for spec in plugins if spec.section == "run_coordinator"]
    if coordinators != ["QueuedRunCoordinator"] and _is_given(document, "concurrency.runs"):
        yield f"concurrency.runs: {coordinators[0]} lets every run go at once; QueuedRunCoordinator keeps limits"
    for spec in plugins:
        if spec.section == "scheduler" and spec.target not in KNOWN_CLASSES["scheduler"].values():
            yield f"scheduler: {spec.class_name} is not loaded, the daemon makes all ticks"


def _is_given(document: Mapping[str, Any], path: str) -> bool:
    found: Any = document
    for key in path.split("."):
        if not isinstance(found, dict) or found.get(key) is None:
            return False
        found = found[key]
    return True
