"""The public names of Orchord: what users import, and nothing else. Dagster's names stand beside ours.

``orchord.testing`` holds what tests need, ``orchord.spi`` what plug-ins and the other packages need. Names whose
import would be slow are imported when they are asked for.
"""

# ruff: noqa: I001 - names stand under headings, sorted under each
import importlib as _importlib
import typing as _typing

# Ops, graphs and jobs
from orchord.definitions.dependency import (
    DependencyDefinition as DependencyDefinition,
    InputMapping as InputMapping,
    MultiDependencyDefinition as MultiDependencyDefinition,
    NodeInvocation as NodeInvocation,
    OutputMapping as OutputMapping,
)
from orchord.definitions.graph import (
    graph as graph,
    GraphDefinition as GraphDefinition,
)
from orchord.definitions.hooks import (
    failure_hook as failure_hook,
    HookDefinition as HookDefinition,
    success_hook as success_hook,
)
from orchord.definitions.in_out import (
    GraphIn as GraphIn,
    GraphOut as GraphOut,
    In as In,
    Out as Out,
)
from orchord.definitions.job import job as job
from orchord.definitions.job_definition import JobDefinition as JobDefinition
from orchord.definitions.op import (
    op as op,
    OpDefinition as OpDefinition,
)
from orchord.definitions.output import Output as Output
from orchord.definitions.retry import (
    Backoff as Backoff,
    Jitter as Jitter,
    RetryPolicy as RetryPolicy,
)
from orchord.definitions.signals import (
    Failure as Failure,
    RetryRequested as RetryRequested,
)
from orchord.execution.expectations import ExpectationResult as ExpectationResult

# Assets
from orchord.definitions.asset_key import AssetKey as AssetKey
from orchord.definitions.assets.decorators import (
    asset as asset,
    multi_asset as multi_asset,
)
from orchord.definitions.assets.definition import AssetsDefinition as AssetsDefinition
from orchord.definitions.assets.external import SourceAsset as SourceAsset
from orchord.definitions.assets.graph import AssetGraph as AssetGraph
from orchord.definitions.assets.graph_decorators import (
    graph_asset as graph_asset,
    graph_multi_asset as graph_multi_asset,
)
from orchord.definitions.assets.job import define_asset_job as define_asset_job
from orchord.definitions.assets.load import (
    load_assets_from_current_module as load_assets_from_current_module,
    load_assets_from_modules as load_assets_from_modules,
    load_assets_from_package_module as load_assets_from_package_module,
    load_assets_from_package_name as load_assets_from_package_name,
    load_definitions_from_current_module as load_definitions_from_current_module,
    load_definitions_from_module as load_definitions_from_module,
    load_definitions_from_modules as load_definitions_from_modules,
    load_definitions_from_package_module as load_definitions_from_package_module,
    load_definitions_from_package_name as load_definitions_from_package_name,
)
from orchord.definitions.assets.results import (
    AssetMaterialization as AssetMaterialization,
    AssetObservation as AssetObservation,
    DataVersion as DataVersion,
    MaterializeResult as MaterializeResult,
    ObserveResult as ObserveResult,
)
from orchord.definitions.assets.selection import AssetSelection as AssetSelection
from orchord.definitions.assets.spec import (
    AssetDep as AssetDep,
    AssetIn as AssetIn,
    AssetOut as AssetOut,
    AssetSpec as AssetSpec,
)

# Metadata
from orchord.definitions.metadata import (
    BoolMetadataValue as BoolMetadataValue,
    DagsterAssetMetadataValue as DagsterAssetMetadataValue,
    DagsterJobMetadataValue as DagsterJobMetadataValue,
    DagsterRunMetadataValue as DagsterRunMetadataValue,
    FloatMetadataValue as FloatMetadataValue,
    IntMetadataValue as IntMetadataValue,
    JsonMetadataValue as JsonMetadataValue,
    MarkdownMetadataValue as MarkdownMetadataValue,
    MetadataValue as MetadataValue,
    NotebookMetadataValue as NotebookMetadataValue,
    NullMetadataValue as NullMetadataValue,
    PathMetadataValue as PathMetadataValue,
    PythonArtifactMetadataValue as PythonArtifactMetadataValue,
    TableColumnLineageMetadataValue as TableColumnLineageMetadataValue,
    TableMetadataValue as TableMetadataValue,
    TableSchemaMetadataValue as TableSchemaMetadataValue,
    TextMetadataValue as TextMetadataValue,
    TimestampMetadataValue as TimestampMetadataValue,
    UrlMetadataValue as UrlMetadataValue,
)
from orchord.definitions.table_schema import (
    TableColumn as TableColumn,
    TableColumnConstraints as TableColumnConstraints,
    TableColumnDep as TableColumnDep,
    TableColumnLineage as TableColumnLineage,
    TableConstraints as TableConstraints,
    TableRecord as TableRecord,
    TableSchema as TableSchema,
)

# Config
from orchord.definitions.config.config_class import (
    Config as Config,
    PermissiveConfig as PermissiveConfig,
)
from orchord.definitions.config.configurable import configured as configured
from orchord.definitions.config.env import EnvVar as EnvVar
from orchord.definitions.config.mapping import (
    config_mapping as config_mapping,
    ConfigMapping as ConfigMapping,
)
from orchord.definitions.config.run_config import RunConfig as RunConfig
from orchord.definitions.config.schema import (
    Array as Array,
    BoolSource as BoolSource,
    ConfigSchema as ConfigSchema,
    Enum as Enum,
    EnumValue as EnumValue,
    Field as Field,
    IntSource as IntSource,
    Map as Map,
    Noneable as Noneable,
    Permissive as Permissive,
    ScalarUnion as ScalarUnion,
    Selector as Selector,
    Shape as Shape,
    StringSource as StringSource,
)

# Types
from orchord.definitions.types import (
    Any as Any,
    Bool as Bool,
    DagsterType as DagsterType,
    Float as Float,
    Int as Int,
    make_python_type_usable_as_dagster_type as make_python_type_usable_as_dagster_type,
    Nothing as Nothing,
    OrchordType as OrchordType,
    PythonObjectDagsterType as PythonObjectDagsterType,
    String as String,
    TypeCheck as TypeCheck,
    usable_as_dagster_type as usable_as_dagster_type,
)

# Resources
from orchord.definitions.resources.building import build_init_resource_context as build_init_resource_context
from orchord.definitions.resources.configurable import (
    ConfigurableResource as ConfigurableResource,
    ConfigurableResourceFactory as ConfigurableResourceFactory,
)
from orchord.definitions.resources.context import InitResourceContext as InitResourceContext
from orchord.definitions.resources.definition import (
    resource as resource,
    ResourceDefinition as ResourceDefinition,
)
from orchord.definitions.resources.io_manager_classes import (
    ConfigurableIOManager as ConfigurableIOManager,
    ConfigurableIOManagerFactory as ConfigurableIOManagerFactory,
)
from orchord.definitions.resources.opening import build_resources as build_resources
from orchord.definitions.resources.param import (
    ResourceDependency as ResourceDependency,
    ResourceParam as ResourceParam,
)
from orchord.definitions.resources.values import Resources as Resources

# IO managers
from orchord.definitions.io_context import (
    build_input_context as build_input_context,
    build_output_context as build_output_context,
    InputContext as InputContext,
    OutputContext as OutputContext,
)
from orchord.definitions.io_manager import (
    input_manager as input_manager,
    InputManagerDefinition as InputManagerDefinition,
    io_manager as io_manager,
    IOManagerDefinition as IOManagerDefinition,
)
from orchord.definitions.resources.io_manager_classes import (
    ConfigurableInputManager as ConfigurableInputManager,
    InputManager as InputManager,
    IOManager as IOManager,
)
from orchord.io_managers.filesystem import (
    FilesystemIOManager as FilesystemIOManager,
    fs_io_manager as fs_io_manager,
)
from orchord.io_managers.in_memory import (
    InMemoryIOManager as InMemoryIOManager,
    mem_io_manager as mem_io_manager,
)

# Executors and loggers
from orchord.definitions.executors import (
    celery_docker_executor as celery_docker_executor,
    celery_executor as celery_executor,
    celery_k8s_job_executor as celery_k8s_job_executor,
    docker_executor as docker_executor,
    executor as executor,
    ExecutorDefinition as ExecutorDefinition,
    in_process_executor as in_process_executor,
    k8s_job_executor as k8s_job_executor,
    multi_or_in_process_executor as multi_or_in_process_executor,
    multiprocess_executor as multiprocess_executor,
)
from orchord.definitions.loggers import (
    build_init_logger_context as build_init_logger_context,
    colored_console_logger as colored_console_logger,
    InitLoggerContext as InitLoggerContext,
    json_console_logger as json_console_logger,
    logger as logger,
    LoggerDefinition as LoggerDefinition,
)

# Schedules and sensors
from orchord.definitions.asset_sensors import (
    asset_sensor as asset_sensor,
    AssetSensorDefinition as AssetSensorDefinition,
    build_multi_asset_sensor_context as build_multi_asset_sensor_context,
    multi_asset_sensor as multi_asset_sensor,
    MultiAssetSensorDefinition as MultiAssetSensorDefinition,
    MultiAssetSensorEvaluationContext as MultiAssetSensorEvaluationContext,
)
from orchord.definitions.requests import (
    RunRequest as RunRequest,
    SensorResult as SensorResult,
    SkipReason as SkipReason,
)
from orchord.definitions.run_status_sensors import (
    build_run_status_sensor_context as build_run_status_sensor_context,
    run_failure_sensor as run_failure_sensor,
    run_status_sensor as run_status_sensor,
    RunFailureSensorContext as RunFailureSensorContext,
    RunStatusSensorContext as RunStatusSensorContext,
    RunStatusSensorDefinition as RunStatusSensorDefinition,
)
from orchord.definitions.schedules import (
    build_schedule_context as build_schedule_context,
    DefaultScheduleStatus as DefaultScheduleStatus,
    schedule as schedule,
    ScheduleDefinition as ScheduleDefinition,
    ScheduleEvaluationContext as ScheduleEvaluationContext,
)
from orchord.definitions.sensor_definition import (
    DefaultSensorStatus as DefaultSensorStatus,
    SensorDefinition as SensorDefinition,
    SensorEvaluationContext as SensorEvaluationContext,
)
from orchord.definitions.sensors import (
    build_sensor_context as build_sensor_context,
    sensor as sensor,
)

# Code locations
from orchord.definitions.definitions_object import Definitions as Definitions
from orchord.definitions.repository import Repository as Repository

# Execution
from orchord.execution.build_context import (
    build_asset_context as build_asset_context,
    build_hook_context as build_hook_context,
    build_op_context as build_op_context,
)
from orchord.execution.contexts import (
    AssetExecutionContext as AssetExecutionContext,
    OpExecutionContext as OpExecutionContext,
)
from orchord.execution.hooks import HookContext as HookContext
from orchord.execution.logs import get_logger as get_dagster_logger
from orchord.execution.materialize import (
    materialize as materialize,
    materialize_to_memory as materialize_to_memory,
)
from orchord.execution.result import ExecuteInProcessResult as ExecuteInProcessResult

# Runs and events
from orchord.events import (
    Event as DagsterEvent,
    EventType as DagsterEventType,
    Event as Event,
    EventType as EventType,
)
from orchord.runs import (
    Run as DagsterRun,
    RunStatus as DagsterRunStatus,
    Run as Run,
    RunStatus as RunStatus,
)

# Errors
from orchord.definitions.resources.values import (
    UnknownResourceError as DagsterUnknownResourceError,
    UnknownResourceError as UnknownResourceError,
)
from orchord.errors import (
    AssetNotFoundError as AssetNotFoundError,
    BrokerUnavailableError as BrokerUnavailableError,
    CodeLocationLoadError as CodeLocationLoadError,
    ConflictError as ConflictError,
    OrchordError as DagsterError,
    StepExecutionError as DagsterExecutionStepExecutionError,
    InvalidConfigError as DagsterInvalidConfigError,
    InvalidDefinitionError as DagsterInvalidDefinitionError,
    InvalidInvocationError as DagsterInvalidInvocationError,
    InvalidSubsetError as DagsterInvalidSubsetError,
    InvariantViolationError as DagsterInvariantViolationError,
    ResourceInitError as DagsterResourceFunctionError,
    RunNotFoundError as DagsterRunNotFoundError,
    TypeCheckError as DagsterTypeCheckDidNotPass,
    InstanceConfigError as InstanceConfigError,
    InvalidConfigError as InvalidConfigError,
    InvalidDefinitionError as InvalidDefinitionError,
    InvalidInvocationError as InvalidInvocationError,
    InvalidSubsetError as InvalidSubsetError,
    InvariantViolationError as InvariantViolationError,
    JobNotFoundError as JobNotFoundError,
    LocationNotFoundError as LocationNotFoundError,
    NotFoundError as NotFoundError,
    OrchordError as OrchordError,
    ResourceInitError as ResourceInitError,
    RunNotFoundError as RunNotFoundError,
    StepExecutionError as StepExecutionError,
    StorageUnavailableError as StorageUnavailableError,
    TypeCheckError as TypeCheckError,
    UnavailableError as UnavailableError,
)
from orchord.execution.interrupt import (
    ExecutionInterrupted as DagsterExecutionInterruptedError,
    ExecutionInterrupted as ExecutionInterrupted,
)

# The instance, with SQLAlchemy behind it
if _typing.TYPE_CHECKING:
    from orchord.instance import OrchordInstance as OrchordInstance, OrchordInstance as DagsterInstance
    from orchord.storage import RunFilter as RunsFilter
else:
    _LATE = {
        "DagsterInstance": ("orchord.instance", "OrchordInstance"),
        "OrchordInstance": ("orchord.instance", "OrchordInstance"),
        "RunsFilter": ("orchord.storage", "RunFilter"),
    }

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module 'orchord' has no attribute '{name}'")
        module, attribute = _LATE[name]
        return getattr(_importlib.import_module(module), attribute)

    def __dir__():
        return sorted({*globals(), *_LATE})
