"""The door for orchord_workers, orchord_beat, orchord_web and plug-ins: what they may use beside the public names.

Only re-exports. What is not here is private to the core, and may change without notice.
"""

from orchord.compute_logs import ComputeLogManager, LogChunk
from orchord.compute_logs.live import LivePages, LiveWrite
from orchord.compute_logs.shipping import Shipper
from orchord.compute_logs.streams import StreamName, left_out_mark
from orchord.definitions.cron import latest_times, next_times
from orchord.definitions.job import JobDefinition
from orchord.definitions.job_config import ResolvedRunConfig
from orchord.errors import (
    BrokerUnavailableError,
    CodeLocationLoadError,
    InstanceConfigError,
    InvalidConfigError,
    NotFoundError,
    OrchordError,
    RunNotFoundError,
    StepTimeoutError,
    StorageUnavailableError,
    UnavailableError,
    did_you_mean,
)
from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.execution import ExecutionInterrupted, Progress, StepRequest, StepResult, execute_step, run_in_process
from orchord.execution.error_info import error_info
from orchord.execution.executors import (
    Executor,
    ExecutorFailedError,
    InProcessExecutor,
    ProcessStarters,
    executor_of,
    retries_enabled,
    run_by_executor,
)
from orchord.execution.interrupt import StopNotice
from orchord.execution.orchestration import RunSurroundings
from orchord.execution.processes import ProcessRequest, StartFailedError, StepProcesses, StepTemplate
from orchord.execution.processes.ends import fault_result
from orchord.execution.processes.memory_kills import MemoryKills
from orchord.execution.retries import retry_delay_seconds
from orchord.execution.time_limit import HARD_GRACE_SECONDS, end_process_of_stuck_steps, timeout_message
from orchord.instance import InstanceConfig, OrchordInstance
from orchord.instance.coordinators import QueuedRunCoordinator, RunCoordinator
from orchord.instance.courier import Courier
from orchord.instance.daemons import known_daemons
from orchord.instance.evaluation import Evaluation, TickTimeLimitExceeded, evaluate
from orchord.instance.heartbeat import Heartbeat
from orchord.instance.instigators import Instigator, instigators
from orchord.instance.launch import PreparedRun, hand_over_all
from orchord.instance.launchers import LaunchRunContext, RunLauncher, RunWatch
from orchord.instance.live_events import LiveEvents
from orchord.instance.log_shipping import announce_logs, keep_what_is_live, log_shipper
from orchord.instance.queue_section import QueueSettings
from orchord.instance.recording import EXECUTED_BY_TAG
from orchord.instance.run_queue import RunQueue, unlimited_queue
from orchord.instance.run_retries import RunRetries
from orchord.instance.sections import CelerySettings, RunMonitoringSettings
from orchord.instance.sink import StoredSink, as_skips
from orchord.instance.step_sources import LocationSource, step_template
from orchord.location import CodeLocation, LocationTarget, load_location
from orchord.plan.follow import Follow, JoinPart, StepToStart, begin, follow, joins_of
from orchord.plan.gates import RUN_POOL_PREFIX, RunGate, executor_config, gates_of, run_pool
from orchord.plan.machine import EndRun, RunMachine, SkipStep, StartStep, StepEnd, decide
from orchord.plan.model import ExecutionPlan, Step
from orchord.plan.places import Place, place_of, runs_as_unit
from orchord.runs import STEP_END_STATUSES, Attempt, AttemptStatus, Part, PartStatus, Run, RunStatus
from orchord.settings import Settings, child_environment, environment_value
from orchord.storage import PoolWaiter, Storage
from orchord.storage.launch_store import NO_PROCESS
from orchord.storage.values import (
    Claim,
    ClaimResult,
    DaemonRow,
    Finish,
    FinishResult,
    LaunchKey,
    LaunchStanding,
    Lease,
    RunChange,
    RunFilter,
    Skip,
    TakenOver,
    TickEnd,
    TickFinished,
    WorkerRow,
    WorkStanding,
)
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus, NewTick, Tick, TickStatus
from orchord.wire import (
    CONTAINER_NAME_VARIABLE,
    END_TASK,
    LAUNCH_TOKEN_VARIABLE,
    PLAIN_QUEUE,
    RUN_ENDED_CHANNEL,
    STEP_TASK,
    TICKS_TASK,
    WAKE_CHANGES,
    WAKE_CHANNEL,
    WAKE_CLOCK,
    WAKE_QUEUE,
    WHOLE_RUN_TASK,
    StepMessage,
    end_task_id,
    join_id,
    launches_queue,
    part_to_wire,
    parts_from_wire,
    parts_to_wire,
    shown_name,
    steps_queue,
    ticks_queue,
    whole_run_task_id,
)

__all__ = [
    "CONTAINER_NAME_VARIABLE",
    "END_TASK",
    "EXECUTED_BY_TAG",
    "HARD_GRACE_SECONDS",
    "LAUNCH_TOKEN_VARIABLE",
    "NO_PROCESS",
    "PLAIN_QUEUE",
    "RUN_ENDED_CHANNEL",
    "RUN_POOL_PREFIX",
    "STEP_END_STATUSES",
    "STEP_TASK",
    "TICKS_TASK",
    "WAKE_CHANGES",
    "WAKE_CHANNEL",
    "WAKE_CLOCK",
    "WAKE_QUEUE",
    "WHOLE_RUN_TASK",
    "Attempt",
    "AttemptStatus",
    "BrokerUnavailableError",
    "CelerySettings",
    "Claim",
    "ClaimResult",
    "CodeLocation",
    "CodeLocationLoadError",
    "ComputeLogManager",
    "Courier",
    "DaemonRow",
    "EndRun",
    "ErrorInfo",
    "Evaluation",
    "Event",
    "EventType",
    "ExecutionInterrupted",
    "ExecutionPlan",
    "Executor",
    "ExecutorFailedError",
    "Finish",
    "FinishResult",
    "Follow",
    "Heartbeat",
    "InProcessExecutor",
    "InstanceConfig",
    "InstanceConfigError",
    "Instigator",
    "InstigatorKey",
    "InstigatorKind",
    "InstigatorState",
    "InstigatorStatus",
    "InvalidConfigError",
    "JobDefinition",
    "JoinPart",
    "LaunchKey",
    "LaunchRunContext",
    "LaunchStanding",
    "Lease",
    "LiveEvents",
    "LivePages",
    "LiveWrite",
    "LocationSource",
    "LocationTarget",
    "LogChunk",
    "MemoryKills",
    "NewTick",
    "NotFoundError",
    "OrchordError",
    "OrchordInstance",
    "Part",
    "PartStatus",
    "Place",
    "PoolWaiter",
    "PreparedRun",
    "ProcessRequest",
    "ProcessStarters",
    "Progress",
    "QueueSettings",
    "QueuedRunCoordinator",
    "ResolvedRunConfig",
    "Run",
    "RunChange",
    "RunCoordinator",
    "RunFilter",
    "RunGate",
    "RunLauncher",
    "RunMachine",
    "RunMonitoringSettings",
    "RunNotFoundError",
    "RunQueue",
    "RunRetries",
    "RunStatus",
    "RunSurroundings",
    "RunWatch",
    "Settings",
    "Shipper",
    "Skip",
    "SkipStep",
    "StartFailedError",
    "StartStep",
    "Step",
    "StepEnd",
    "StepMessage",
    "StepProcesses",
    "StepRequest",
    "StepResult",
    "StepTemplate",
    "StepTimeoutError",
    "StepToStart",
    "StopNotice",
    "Storage",
    "StorageUnavailableError",
    "StoredSink",
    "StreamName",
    "TakenOver",
    "Tick",
    "TickEnd",
    "TickFinished",
    "TickStatus",
    "TickTimeLimitExceeded",
    "UnavailableError",
    "WorkStanding",
    "WorkerRow",
    "announce_logs",
    "as_skips",
    "begin",
    "child_environment",
    "decide",
    "did_you_mean",
    "end_process_of_stuck_steps",
    "end_task_id",
    "environment_value",
    "error_info",
    "evaluate",
    "execute_step",
    "executor_config",
    "executor_of",
    "fault_result",
    "follow",
    "gates_of",
    "hand_over_all",
    "instigators",
    "join_id",
    "joins_of",
    "keep_what_is_live",
    "known_daemons",
    "latest_times",
    "launches_queue",
    "left_out_mark",
    "load_location",
    "log_shipper",
    "next_times",
    "part_to_wire",
    "parts_from_wire",
    "parts_to_wire",
    "place_of",
    "retries_enabled",
    "retry_delay_seconds",
    "run_by_executor",
    "run_in_process",
    "run_pool",
    "runs_as_unit",
    "shown_name",
    "step_template",
    "steps_queue",
    "ticks_queue",
    "timeout_message",
    "unlimited_queue",
    "utc_now",
    "whole_run_task_id",
]
