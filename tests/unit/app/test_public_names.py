"""The names that ``orchord`` offers, one by one: adding or losing one is a decision, seen here."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import orchord

PUBLIC_NAMES = """
Any Array AssetDep AssetExecutionContext AssetGraph AssetIn AssetKey AssetMaterialization AssetNotFoundError
AssetObservation AssetOut AssetSelection AssetSensorDefinition AssetSpec AssetsDefinition Backoff Bool
BoolMetadataValue BoolSource BrokerUnavailableError CodeLocationLoadError Config ConfigMapping ConfigSchema
ConfigurableIOManager ConfigurableIOManagerFactory ConfigurableInputManager ConfigurableResource
ConfigurableResourceFactory ConflictError DagsterAssetMetadataValue DagsterError DagsterEvent DagsterEventType
DagsterExecutionInterruptedError DagsterExecutionStepExecutionError DagsterInstance DagsterInvalidConfigError
DagsterInvalidDefinitionError DagsterInvalidInvocationError DagsterInvalidSubsetError DagsterInvariantViolationError
DagsterJobMetadataValue DagsterResourceFunctionError DagsterRun DagsterRunMetadataValue DagsterRunNotFoundError
DagsterRunStatus DagsterType DagsterTypeCheckDidNotPass DagsterUnknownResourceError DataVersion DefaultScheduleStatus
DefaultSensorStatus Definitions DependencyDefinition Enum EnumValue EnvVar Event EventType ExecuteInProcessResult
ExecutionInterrupted ExecutorDefinition ExpectationResult Failure Field FilesystemIOManager Float FloatMetadataValue
GraphDefinition GraphIn GraphOut HookContext HookDefinition IOManager IOManagerDefinition In InMemoryIOManager
InitLoggerContext InitResourceContext InputContext InputManager InputManagerDefinition InputMapping
InstanceConfigError Int IntMetadataValue IntSource InvalidConfigError InvalidDefinitionError InvalidInvocationError
InvalidSubsetError InvariantViolationError Jitter JobDefinition JobNotFoundError JsonMetadataValue
LocationNotFoundError LoggerDefinition Map MarkdownMetadataValue MaterializeResult MetadataValue
MultiAssetSensorDefinition MultiAssetSensorEvaluationContext MultiDependencyDefinition NodeInvocation Noneable
NotFoundError NotebookMetadataValue Nothing NullMetadataValue ObserveResult OpDefinition OpExecutionContext
OrchordError OrchordInstance OrchordType Out Output OutputContext OutputMapping PathMetadataValue Permissive
PermissiveConfig PythonArtifactMetadataValue PythonObjectDagsterType Repository ResourceDefinition ResourceDependency
ResourceInitError ResourceParam Resources RetryPolicy RetryRequested Run RunConfig RunFailureSensorContext
RunNotFoundError RunRequest RunStatus RunStatusSensorContext RunStatusSensorDefinition RunsFilter ScalarUnion
ScheduleDefinition ScheduleEvaluationContext Selector SensorDefinition SensorEvaluationContext SensorResult Shape
SkipReason SourceAsset StepExecutionError StorageUnavailableError String StringSource TableColumn
TableColumnConstraints TableColumnDep TableColumnLineage TableColumnLineageMetadataValue TableConstraints
TableMetadataValue TableRecord TableSchema TableSchemaMetadataValue TextMetadataValue TimestampMetadataValue TypeCheck
TypeCheckError UnavailableError UnknownResourceError UrlMetadataValue asset asset_sensor build_asset_context
build_hook_context build_init_logger_context build_init_resource_context build_input_context
build_multi_asset_sensor_context build_op_context build_output_context build_resources build_run_status_sensor_context
build_schedule_context build_sensor_context celery_docker_executor celery_executor celery_k8s_job_executor
colored_console_logger config_mapping configured define_asset_job docker_executor executor failure_hook fs_io_manager
get_dagster_logger graph graph_asset graph_multi_asset in_process_executor input_manager io_manager job
json_console_logger k8s_job_executor load_assets_from_current_module load_assets_from_modules
load_assets_from_package_module load_assets_from_package_name load_definitions_from_current_module
load_definitions_from_module load_definitions_from_modules load_definitions_from_package_module
load_definitions_from_package_name logger make_python_type_usable_as_dagster_type materialize materialize_to_memory
mem_io_manager multi_asset multi_asset_sensor multi_or_in_process_executor multiprocess_executor op resource
run_failure_sensor run_status_sensor schedule sensor success_hook usable_as_dagster_type
""".split()  # noqa: SIM905 - as words, they stay readable

# What users must not pay for by importing orchord.
HEAVY = {
    "alembic",
    "celery",
    "click",
    "croniter",
    "docker",
    "flask",
    "gunicorn",
    "kombu",
    "obstore",
    "psycopg2",
    "redis",
    "rich",
    "sqlalchemy",
    "yaml",
}


def _fresh(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_public_names_are_exactly_these() -> None:
    inner = {path.stem for path in Path(orchord.__file__).parent.iterdir()}
    found = {name for name in dir(orchord) if not name.startswith("_")} - inner
    assert sorted(found) == sorted(PUBLIC_NAMES)


def test_every_public_name_is_there() -> None:
    assert [name for name in PUBLIC_NAMES if getattr(orchord, name, None) is None] == []


def test_names_that_are_imported_late_are_the_real_ones() -> None:
    from orchord.instance import OrchordInstance
    from orchord.storage import RunFilter

    assert orchord.OrchordInstance is orchord.DagsterInstance is OrchordInstance
    assert orchord.RunsFilter is RunFilter


def test_dagsters_names_are_ours() -> None:
    assert orchord.DagsterInvalidDefinitionError is orchord.InvalidDefinitionError
    assert orchord.DagsterRunStatus is orchord.RunStatus
    assert orchord.DagsterType is orchord.OrchordType


def test_an_unknown_name_is_an_attribute_error() -> None:
    program = "import orchord\ntry: orchord.no_such_name\nexcept AttributeError as error: print(error)"
    assert _fresh(program) == "module 'orchord' has no attribute 'no_such_name'\n"


def test_the_package_itself_only_passes_names_on() -> None:
    tree = ast.parse(Path(orchord.__file__).read_text())
    kinds = {type(node) for node in tree.body}
    assert kinds == {ast.Expr, ast.Import, ast.ImportFrom, ast.If}
    functions = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert functions == ["__getattr__", "__dir__"]


def test_importing_it_brings_in_nothing_heavy() -> None:
    loaded = _fresh("import sys, orchord; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert HEAVY & set(loaded) == set()


def test_executing_in_process_needs_nothing_heavy() -> None:
    program = """
import sys
import orchord as dg

@dg.op
def one():
    return 1

@dg.job
def ones():
    one()

assert ones.execute_in_process().success
print(*{name.partition('.')[0] for name in sys.modules})
"""
    assert HEAVY & set(_fresh(program).split()) == set()
