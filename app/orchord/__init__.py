"""The public names of Orchord: what users import, and nothing else. Dagster's names stand beside ours.

``orchord.testing`` holds what tests need, ``orchord.spi`` what plug-ins and the other packages need. Each name is
imported when it is first asked for, so that a command that needs few of them, or none, starts at once.
"""

# ruff: noqa: I001 - names stand under headings, sorted under each
import importlib as _importlib
import threading as _threading
import typing as _typing

if _typing.TYPE_CHECKING:
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
    from orchord.definitions.job_definition import (
        JobDefinition as JobDefinition,
        validate_run_config as validate_run_config,
    )
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
    from orchord.definitions.assets.job import (
        define_asset_job as define_asset_job,
        UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
    )
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
    from orchord.definitions.assets.map_specs import map_asset_specs as map_asset_specs
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
    from orchord.definitions.assets.with_resources import with_resources as with_resources

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
    from orchord.io_managers import (
        FilesystemIOManager as FilesystemIOManager,
        fs_io_manager as fs_io_manager,
        InMemoryIOManager as InMemoryIOManager,
        mem_io_manager as mem_io_manager,
    )
    from orchord.io_managers.adls2 import (
        ADLS2DefaultAzureCredential as ADLS2DefaultAzureCredential,
        ADLS2Key as ADLS2Key,
        adls2_pickle_io_manager as adls2_pickle_io_manager,
        ADLS2PickleIOManager as ADLS2PickleIOManager,
        adls2_resource as adls2_resource,
        ADLS2Resource as ADLS2Resource,
        ADLS2SASToken as ADLS2SASToken,
        PickledObjectADLS2IOManager as PickledObjectADLS2IOManager,
    )
    from orchord.io_managers.bigquery import (
        BigQueryIOManager as BigQueryIOManager,
        build_bigquery_io_manager as build_bigquery_io_manager,
    )
    from orchord.io_managers.bigquery_client import BigQueryWriteMode as BigQueryWriteMode
    from orchord.io_managers.bigquery_handlers import BigQueryTypeHandler as BigQueryTypeHandler
    from orchord.io_managers.bigquery_pandas import (
        bigquery_pandas_io_manager as bigquery_pandas_io_manager,
        BigQueryPandasIOManager as BigQueryPandasIOManager,
        BigQueryPandasTypeHandler as BigQueryPandasTypeHandler,
    )
    from orchord.io_managers.bigquery_pyspark import (
        bigquery_pyspark_io_manager as bigquery_pyspark_io_manager,
        BigQueryPySparkIOManager as BigQueryPySparkIOManager,
        BigQueryPySparkTypeHandler as BigQueryPySparkTypeHandler,
    )
    from orchord.io_managers.gcs import (
        gcs_pickle_io_manager as gcs_pickle_io_manager,
        GCSPickleIOManager as GCSPickleIOManager,
        gcs_resource as gcs_resource,
        GCSResource as GCSResource,
        PickledObjectGCSIOManager as PickledObjectGCSIOManager,
    )
    from orchord.io_managers.s3 import (
        PickledObjectS3IOManager as PickledObjectS3IOManager,
        s3_pickle_io_manager as s3_pickle_io_manager,
        S3PickleIOManager as S3PickleIOManager,
        s3_resource as s3_resource,
        S3Resource as S3Resource,
    )
    from orchord.io_managers.upath import UPathIOManager as UPathIOManager

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
    from orchord.execution.executors import (
        Executor as Executor,
        InitExecutorContext as InitExecutorContext,
        InProcessExecutor as InProcessExecutor,
        MultiprocessExecutor as MultiprocessExecutor,
    )
    from orchord.execution.orchestration import PlanOrchestrationContext as PlanOrchestrationContext
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
    )
    from orchord.definitions.multi_asset_context import (
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
    from orchord.definitions import definitions as definitions
    from orchord.definitions.definitions_object import Definitions as Definitions
    from orchord.definitions.file_paths import file_relative_path as file_relative_path
    from orchord.definitions.repository import Repository as Repository

    # Execution
    from orchord.execution import (
        AssetExecutionContext as AssetExecutionContext,
        build_asset_context as build_asset_context,
        build_hook_context as build_hook_context,
        build_op_context as build_op_context,
        ExecuteInProcessResult as ExecuteInProcessResult,
        ExecutionInterrupted as DagsterExecutionInterruptedError,
        ExecutionInterrupted as ExecutionInterrupted,
        ExpectationResult as ExpectationResult,
        get_logger as get_dagster_logger,
        HookContext as HookContext,
        materialize as materialize,
        materialize_to_memory as materialize_to_memory,
        OpExecutionContext as OpExecutionContext,
    )

    # Runs and events
    from orchord.definitions.event_views import (
        DagsterEvent as DagsterEvent,
        EventLogEntry as EventLogEntry,
    )
    from orchord.events import (
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
        StepTimeoutError as StepTimeoutError,
        StorageUnavailableError as StorageUnavailableError,
        TypeCheckError as TypeCheckError,
        UnavailableError as UnavailableError,
    )

    # The instance
    from orchord.instance import (
        OrchordInstance as DagsterInstance,
        OrchordInstance as OrchordInstance,
    )
    from orchord.storage import RunFilter as RunsFilter

    # To type checkers, names that are called otherwise where they come from are exported by this list alone.
    # fmt: off
    __all__ = [
        "ADLS2DefaultAzureCredential", "ADLS2Key", "ADLS2PickleIOManager", "ADLS2Resource", "ADLS2SASToken", "Any",
        "Array", "AssetDep", "AssetExecutionContext", "AssetGraph", "AssetIn", "AssetKey", "AssetMaterialization",
        "AssetNotFoundError", "AssetObservation", "AssetOut", "AssetSelection", "AssetSensorDefinition", "AssetSpec",
        "AssetsDefinition", "Backoff", "BigQueryIOManager", "BigQueryPandasIOManager", "BigQueryPandasTypeHandler",
        "BigQueryPySparkIOManager", "BigQueryPySparkTypeHandler", "BigQueryTypeHandler", "BigQueryWriteMode", "Bool",
        "BoolMetadataValue", "BoolSource", "BrokerUnavailableError", "CodeLocationLoadError", "Config", "ConfigMapping",
        "ConfigSchema", "ConfigurableIOManager", "ConfigurableIOManagerFactory", "ConfigurableInputManager",
        "ConfigurableResource", "ConfigurableResourceFactory", "ConflictError", "DagsterAssetMetadataValue",
        "DagsterError", "DagsterEvent", "DagsterEventType", "DagsterExecutionInterruptedError",
        "DagsterExecutionStepExecutionError", "DagsterInstance", "DagsterInvalidConfigError",
        "DagsterInvalidDefinitionError", "DagsterInvalidInvocationError", "DagsterInvalidSubsetError",
        "DagsterInvariantViolationError", "DagsterJobMetadataValue", "DagsterResourceFunctionError", "DagsterRun",
        "DagsterRunMetadataValue", "DagsterRunNotFoundError", "DagsterRunStatus", "DagsterType",
        "DagsterTypeCheckDidNotPass", "DagsterUnknownResourceError", "DataVersion", "DefaultScheduleStatus",
        "DefaultSensorStatus", "Definitions", "DependencyDefinition", "Enum", "EnumValue", "EnvVar", "Event",
        "EventLogEntry", "EventType", "ExecuteInProcessResult", "ExecutionInterrupted", "Executor",
        "ExecutorDefinition", "ExpectationResult", "Failure", "Field", "FilesystemIOManager", "Float",
        "FloatMetadataValue", "GCSPickleIOManager", "GCSResource", "GraphDefinition", "GraphIn", "GraphOut",
        "HookContext", "HookDefinition", "IOManager", "IOManagerDefinition", "In", "InMemoryIOManager",
        "InProcessExecutor", "InitExecutorContext", "InitLoggerContext", "InitResourceContext", "InputContext",
        "InputManager", "InputManagerDefinition", "InputMapping", "InstanceConfigError", "Int", "IntMetadataValue",
        "IntSource", "InvalidConfigError", "InvalidDefinitionError", "InvalidInvocationError", "InvalidSubsetError",
        "InvariantViolationError", "Jitter", "JobDefinition", "JobNotFoundError", "JsonMetadataValue",
        "LocationNotFoundError", "LoggerDefinition", "Map", "MarkdownMetadataValue", "MaterializeResult",
        "MetadataValue", "MultiAssetSensorDefinition", "MultiAssetSensorEvaluationContext", "MultiDependencyDefinition",
        "MultiprocessExecutor", "NodeInvocation", "Noneable", "NotFoundError", "NotebookMetadataValue", "Nothing",
        "NullMetadataValue", "ObserveResult", "OpDefinition", "OpExecutionContext", "OrchordError", "OrchordInstance",
        "OrchordType", "Out", "Output", "OutputContext", "OutputMapping", "PathMetadataValue", "Permissive",
        "PermissiveConfig", "PickledObjectADLS2IOManager", "PickledObjectGCSIOManager", "PickledObjectS3IOManager",
        "PlanOrchestrationContext", "PythonArtifactMetadataValue", "PythonObjectDagsterType", "Repository",
        "ResourceDefinition", "ResourceDependency", "ResourceInitError", "ResourceParam", "Resources", "RetryPolicy",
        "RetryRequested", "Run", "RunConfig", "RunFailureSensorContext", "RunNotFoundError", "RunRequest", "RunStatus",
        "RunStatusSensorContext", "RunStatusSensorDefinition", "RunsFilter", "S3PickleIOManager", "S3Resource",
        "ScalarUnion", "ScheduleDefinition", "ScheduleEvaluationContext", "Selector", "SensorDefinition",
        "SensorEvaluationContext", "SensorResult", "Shape", "SkipReason", "SourceAsset", "StepExecutionError",
        "StepTimeoutError", "StorageUnavailableError", "String", "StringSource", "TableColumn",
        "TableColumnConstraints", "TableColumnDep", "TableColumnLineage", "TableColumnLineageMetadataValue",
        "TableConstraints", "TableMetadataValue", "TableRecord", "TableSchema", "TableSchemaMetadataValue",
        "TextMetadataValue", "TimestampMetadataValue", "TypeCheck", "TypeCheckError", "UPathIOManager",
        "UnavailableError", "UnknownResourceError", "UnresolvedAssetJobDefinition", "UrlMetadataValue",
        "adls2_pickle_io_manager", "adls2_resource", "asset", "asset_sensor", "bigquery_pandas_io_manager",
        "bigquery_pyspark_io_manager", "build_asset_context", "build_bigquery_io_manager", "build_hook_context",
        "build_init_logger_context", "build_init_resource_context", "build_input_context",
        "build_multi_asset_sensor_context", "build_op_context", "build_output_context", "build_resources",
        "build_run_status_sensor_context", "build_schedule_context", "build_sensor_context", "celery_docker_executor",
        "celery_executor", "celery_k8s_job_executor", "colored_console_logger", "config_mapping", "configured",
        "define_asset_job", "definitions", "docker_executor", "executor", "failure_hook", "file_relative_path",
        "fs_io_manager", "gcs_pickle_io_manager", "gcs_resource", "get_dagster_logger", "graph", "graph_asset",
        "graph_multi_asset", "in_process_executor", "input_manager", "io_manager", "job", "json_console_logger",
        "k8s_job_executor", "load_assets_from_current_module", "load_assets_from_modules",
        "load_assets_from_package_module", "load_assets_from_package_name", "load_definitions_from_current_module",
        "load_definitions_from_module", "load_definitions_from_modules", "load_definitions_from_package_module",
        "load_definitions_from_package_name", "logger", "make_python_type_usable_as_dagster_type", "map_asset_specs",
        "materialize", "materialize_to_memory", "mem_io_manager", "multi_asset", "multi_asset_sensor",
        "multi_or_in_process_executor", "multiprocess_executor", "op", "resource", "run_failure_sensor",
        "run_status_sensor", "s3_pickle_io_manager", "s3_resource", "schedule", "sensor", "success_hook",
        "usable_as_dagster_type", "validate_run_config", "with_resources",
    ]
    # fmt: on
else:
    # The same names for the interpreter: where each is and, behind "=", what it is called there.
    _LATE = {
        name.partition("=")[0]: (f"orchord.{module.strip()}", name.rpartition("=")[2])
        for module, names in (
            row.split(":")
            for row in """
            definitions.dependency: DependencyDefinition InputMapping MultiDependencyDefinition NodeInvocation
            definitions.dependency: OutputMapping
            definitions.graph: graph GraphDefinition
            definitions.hooks: failure_hook HookDefinition success_hook
            definitions.in_out: GraphIn GraphOut In Out
            definitions.job: job
            definitions.job_definition: JobDefinition validate_run_config
            definitions.op: op OpDefinition
            definitions.output: Output
            definitions.retry: Backoff Jitter RetryPolicy
            definitions.signals: Failure RetryRequested
            definitions.asset_key: AssetKey
            definitions.assets.decorators: asset multi_asset
            definitions.assets.definition: AssetsDefinition
            definitions.assets.external: SourceAsset
            definitions.assets.graph: AssetGraph
            definitions.assets.graph_decorators: graph_asset graph_multi_asset
            definitions.assets.job: define_asset_job UnresolvedAssetJobDefinition
            definitions.assets.load: load_assets_from_current_module load_assets_from_modules
            definitions.assets.load: load_assets_from_package_module load_assets_from_package_name
            definitions.assets.load: load_definitions_from_current_module load_definitions_from_module
            definitions.assets.load: load_definitions_from_modules load_definitions_from_package_module
            definitions.assets.load: load_definitions_from_package_name
            definitions.assets.map_specs: map_asset_specs
            definitions.assets.results: AssetMaterialization AssetObservation DataVersion MaterializeResult
            definitions.assets.results: ObserveResult
            definitions.assets.selection: AssetSelection
            definitions.assets.spec: AssetDep AssetIn AssetOut AssetSpec
            definitions.assets.with_resources: with_resources
            definitions.metadata: BoolMetadataValue DagsterAssetMetadataValue DagsterJobMetadataValue
            definitions.metadata: DagsterRunMetadataValue FloatMetadataValue IntMetadataValue JsonMetadataValue
            definitions.metadata: MarkdownMetadataValue MetadataValue NotebookMetadataValue NullMetadataValue
            definitions.metadata: PathMetadataValue PythonArtifactMetadataValue TableColumnLineageMetadataValue
            definitions.metadata: TableMetadataValue TableSchemaMetadataValue TextMetadataValue
            definitions.metadata: TimestampMetadataValue UrlMetadataValue
            definitions.table_schema: TableColumn TableColumnConstraints TableColumnDep TableColumnLineage
            definitions.table_schema: TableConstraints TableRecord TableSchema
            definitions.config.config_class: Config PermissiveConfig
            definitions.config.configurable: configured
            definitions.config.env: EnvVar
            definitions.config.mapping: config_mapping ConfigMapping
            definitions.config.run_config: RunConfig
            definitions.config.schema: Array BoolSource ConfigSchema Enum EnumValue Field IntSource Map Noneable
            definitions.config.schema: Permissive ScalarUnion Selector Shape StringSource
            definitions.types: Any Bool DagsterType Float Int make_python_type_usable_as_dagster_type Nothing
            definitions.types: OrchordType PythonObjectDagsterType String TypeCheck usable_as_dagster_type
            definitions.resources.building: build_init_resource_context
            definitions.resources.configurable: ConfigurableResource ConfigurableResourceFactory
            definitions.resources.context: InitResourceContext
            definitions.resources.definition: resource ResourceDefinition
            definitions.resources.io_manager_classes: ConfigurableIOManager ConfigurableIOManagerFactory
            definitions.resources.io_manager_classes: ConfigurableInputManager InputManager IOManager
            definitions.resources.opening: build_resources
            definitions.resources.param: ResourceDependency ResourceParam
            definitions.resources.values: Resources DagsterUnknownResourceError=UnknownResourceError
            definitions.resources.values: UnknownResourceError
            definitions.io_context: build_input_context build_output_context InputContext OutputContext
            definitions.io_manager: input_manager InputManagerDefinition io_manager IOManagerDefinition
            io_managers: FilesystemIOManager fs_io_manager InMemoryIOManager mem_io_manager
            io_managers.adls2: ADLS2DefaultAzureCredential ADLS2Key adls2_pickle_io_manager ADLS2PickleIOManager
            io_managers.adls2: adls2_resource ADLS2Resource ADLS2SASToken PickledObjectADLS2IOManager
            io_managers.bigquery: BigQueryIOManager build_bigquery_io_manager
            io_managers.bigquery_client: BigQueryWriteMode
            io_managers.bigquery_handlers: BigQueryTypeHandler
            io_managers.bigquery_pandas: bigquery_pandas_io_manager BigQueryPandasIOManager BigQueryPandasTypeHandler
            io_managers.bigquery_pyspark: bigquery_pyspark_io_manager BigQueryPySparkIOManager
            io_managers.bigquery_pyspark: BigQueryPySparkTypeHandler
            io_managers.gcs: gcs_pickle_io_manager GCSPickleIOManager gcs_resource GCSResource PickledObjectGCSIOManager
            io_managers.s3: PickledObjectS3IOManager s3_pickle_io_manager S3PickleIOManager s3_resource S3Resource
            io_managers.upath: UPathIOManager
            definitions.executors: celery_docker_executor celery_executor celery_k8s_job_executor docker_executor
            definitions.executors: executor ExecutorDefinition in_process_executor k8s_job_executor
            definitions.executors: multi_or_in_process_executor multiprocess_executor
            execution.executors: Executor InitExecutorContext InProcessExecutor MultiprocessExecutor
            execution.orchestration: PlanOrchestrationContext
            definitions.loggers: build_init_logger_context colored_console_logger InitLoggerContext
            definitions.loggers: json_console_logger logger LoggerDefinition
            definitions.asset_sensors: asset_sensor AssetSensorDefinition build_multi_asset_sensor_context
            definitions.asset_sensors: multi_asset_sensor MultiAssetSensorDefinition
            definitions.multi_asset_context: MultiAssetSensorEvaluationContext
            definitions.requests: RunRequest SensorResult SkipReason
            definitions.run_status_sensors: build_run_status_sensor_context run_failure_sensor run_status_sensor
            definitions.run_status_sensors: RunFailureSensorContext RunStatusSensorContext RunStatusSensorDefinition
            definitions.schedules: build_schedule_context DefaultScheduleStatus schedule ScheduleDefinition
            definitions.schedules: ScheduleEvaluationContext
            definitions.sensor_definition: DefaultSensorStatus SensorDefinition SensorEvaluationContext
            definitions.sensors: build_sensor_context sensor
            definitions: definitions
            definitions.definitions_object: Definitions
            definitions.file_paths: file_relative_path
            definitions.repository: Repository
            execution: AssetExecutionContext build_asset_context build_hook_context build_op_context
            execution: ExecuteInProcessResult DagsterExecutionInterruptedError=ExecutionInterrupted
            execution: ExecutionInterrupted ExpectationResult get_dagster_logger=get_logger HookContext materialize
            execution: materialize_to_memory OpExecutionContext
            definitions.event_views: DagsterEvent EventLogEntry
            events: DagsterEventType=EventType Event EventType
            runs: DagsterRun=Run DagsterRunStatus=RunStatus Run RunStatus
            errors: AssetNotFoundError BrokerUnavailableError CodeLocationLoadError ConflictError
            errors: DagsterError=OrchordError DagsterExecutionStepExecutionError=StepExecutionError
            errors: DagsterInvalidConfigError=InvalidConfigError DagsterInvalidDefinitionError=InvalidDefinitionError
            errors: DagsterInvalidInvocationError=InvalidInvocationError DagsterInvalidSubsetError=InvalidSubsetError
            errors: DagsterInvariantViolationError=InvariantViolationError
            errors: DagsterResourceFunctionError=ResourceInitError DagsterRunNotFoundError=RunNotFoundError
            errors: DagsterTypeCheckDidNotPass=TypeCheckError InstanceConfigError InvalidConfigError
            errors: InvalidDefinitionError InvalidInvocationError InvalidSubsetError InvariantViolationError
            errors: JobNotFoundError LocationNotFoundError NotFoundError OrchordError ResourceInitError
            errors: RunNotFoundError StepExecutionError StepTimeoutError StorageUnavailableError TypeCheckError
            errors: UnavailableError
            instance: DagsterInstance=OrchordInstance OrchordInstance
            storage: RunsFilter=RunFilter
            """.strip().splitlines()
        )
        for name in names.split()
    }
    __all__ = sorted(_LATE)

    # Python locks each module by itself: threads that came first by different names could lock each other out.
    _LOCK = _threading.RLock()

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module 'orchord' has no attribute '{name}'")
        module, attribute = _LATE[name]
        with _LOCK:
            value = globals()[name] = getattr(_importlib.import_module(module), attribute)
        return value

    def __dir__():
        return sorted({*globals(), *_LATE})
