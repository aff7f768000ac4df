"""The names that ``orchord`` offers, one by one: adding or losing one is a decision, seen here."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import orchord

PUBLIC_NAMES = """
ADLS2DefaultAzureCredential ADLS2Key ADLS2PickleIOManager ADLS2Resource ADLS2SASToken Any Array AssetDep
AssetExecutionContext AssetGraph AssetIn AssetKey AssetMaterialization AssetNotFoundError AssetObservation AssetOut
AssetSelection AssetSensorDefinition AssetSpec AssetsDefinition Backoff BigQueryIOManager BigQueryPandasIOManager
BigQueryPandasTypeHandler BigQueryPySparkIOManager BigQueryPySparkTypeHandler BigQueryTypeHandler BigQueryWriteMode Bool
BoolMetadataValue BoolSource BrokerUnavailableError CodeLocationLoadError Config ConfigMapping ConfigSchema
ConfigurableIOManager ConfigurableIOManagerFactory ConfigurableInputManager ConfigurableResource
ConfigurableResourceFactory ConflictError DagsterAssetMetadataValue DagsterError DagsterEvent DagsterEventType
DagsterExecutionInterruptedError DagsterExecutionStepExecutionError DagsterInstance DagsterInvalidConfigError
DagsterInvalidDefinitionError DagsterInvalidInvocationError DagsterInvalidSubsetError DagsterInvariantViolationError
DagsterJobMetadataValue DagsterResourceFunctionError DagsterRun DagsterRunMetadataValue DagsterRunNotFoundError
DagsterRunStatus DagsterType DagsterTypeCheckDidNotPass DagsterUnknownResourceError DataVersion DefaultScheduleStatus
DefaultSensorStatus Definitions DependencyDefinition Enum EnumValue EnvVar Event EventLogEntry EventType
ExecuteInProcessResult ExecutionInterrupted Executor ExecutorDefinition ExpectationResult Failure Field
FilesystemIOManager Float FloatMetadataValue GCSPickleIOManager GCSResource GraphDefinition GraphIn GraphOut HookContext
HookDefinition IOManager IOManagerDefinition In InMemoryIOManager InProcessExecutor InitExecutorContext
InitLoggerContext InitResourceContext InputContext InputManager InputManagerDefinition InputMapping InstanceConfigError
Int IntMetadataValue IntSource InvalidConfigError InvalidDefinitionError InvalidInvocationError InvalidSubsetError
InvariantViolationError Jitter JobDefinition JobNotFoundError JsonMetadataValue LocationNotFoundError LoggerDefinition
Map MarkdownMetadataValue MaterializeResult MetadataValue MultiAssetSensorDefinition MultiAssetSensorEvaluationContext
MultiDependencyDefinition MultiprocessExecutor NodeInvocation Noneable NotFoundError NotebookMetadataValue Nothing
NullMetadataValue ObserveResult OpDefinition OpExecutionContext OrchordError OrchordInstance OrchordType Out Output
OutputContext OutputMapping PathMetadataValue Permissive PermissiveConfig PickledObjectADLS2IOManager
PickledObjectGCSIOManager PickledObjectS3IOManager PlanOrchestrationContext PythonArtifactMetadataValue
PythonObjectDagsterType Repository ResourceDefinition ResourceDependency ResourceInitError ResourceParam Resources
RetryPolicy RetryRequested Run RunConfig RunFailureSensorContext RunNotFoundError RunRequest RunStatus
RunStatusSensorContext RunStatusSensorDefinition RunsFilter S3PickleIOManager S3Resource ScalarUnion ScheduleDefinition
ScheduleEvaluationContext Selector SensorDefinition SensorEvaluationContext SensorResult Shape SkipReason SourceAsset
StepExecutionError StepTimeoutError StorageUnavailableError String StringSource TableColumn TableColumnConstraints
TableColumnDep TableColumnLineage TableColumnLineageMetadataValue TableConstraints TableMetadataValue TableRecord
TableSchema TableSchemaMetadataValue TextMetadataValue TimestampMetadataValue TypeCheck TypeCheckError UPathIOManager
UnavailableError UnknownResourceError UnresolvedAssetJobDefinition UrlMetadataValue adls2_pickle_io_manager
adls2_resource asset asset_sensor bigquery_pandas_io_manager bigquery_pyspark_io_manager build_asset_context
build_bigquery_io_manager build_hook_context build_init_logger_context build_init_resource_context build_input_context
build_multi_asset_sensor_context build_op_context build_output_context build_resources build_run_status_sensor_context
build_schedule_context build_sensor_context celery_docker_executor celery_executor celery_k8s_job_executor
colored_console_logger config_mapping configured define_asset_job definitions docker_executor executor failure_hook
file_relative_path fs_io_manager gcs_pickle_io_manager gcs_resource get_dagster_logger graph graph_asset
graph_multi_asset in_process_executor input_manager io_manager job json_console_logger k8s_job_executor
load_assets_from_current_module load_assets_from_modules load_assets_from_package_module load_assets_from_package_name
load_definitions_from_current_module load_definitions_from_module load_definitions_from_modules
load_definitions_from_package_module load_definitions_from_package_name logger make_python_type_usable_as_dagster_type
map_asset_specs materialize materialize_to_memory mem_io_manager multi_asset multi_asset_sensor
multi_or_in_process_executor multiprocess_executor op resource run_failure_sensor run_status_sensor s3_pickle_io_manager
s3_resource schedule sensor success_hook usable_as_dagster_type validate_run_config with_resources
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
    found = {name for name in dir(orchord) if not name.startswith("_")} - inner | {"definitions"}
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
    assert kinds == {ast.Expr, ast.Import, ast.If}
    functions = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert functions == ["__getattr__", "__dir__"]


def test_type_checkers_and_the_interpreter_find_each_name_in_the_same_place() -> None:
    tree = ast.parse(Path(orchord.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    told = {alias.asname: (node.module, alias.name) for node in imports for alias in node.names}
    assert told == orchord._LATE
    assert sum(len(node.names) for node in imports) == len(told)


def test_type_checkers_are_told_that_every_name_is_exported() -> None:
    (known,) = (node for node in ast.walk(ast.parse(Path(orchord.__file__).read_text())) if _is_list_of_names(node))
    assert ast.literal_eval(known.value) == sorted(PUBLIC_NAMES)


def _is_list_of_names(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign) and isinstance(node.value, ast.List) and ast.unparse(node.targets[0]) == "__all__"
    )


def test_one_name_is_also_that_of_an_inner_package_which_is_called_as_the_decorator() -> None:
    inner = {path.stem for path in Path(orchord.__file__).parent.iterdir()}
    assert inner & set(PUBLIC_NAMES) == {"definitions"}
    program = """
import orchord as dg

@dg.definitions
def defs():
    return dg.Definitions()

import orchord.definitions.op
print(type(defs).__name__, type(defs()).__name__, orchord.definitions.op.op is dg.op)
"""
    assert _fresh(program) == "LazyDefinitions Definitions True\n"


def test_a_star_brings_every_name() -> None:
    program = "from orchord import *\nimport orchord\nprint(*(name for name in orchord.__all__ if name in globals()))"
    assert _fresh(program).split() == sorted(PUBLIC_NAMES)


def test_any_module_may_be_the_first_that_is_imported() -> None:
    """Nothing imports the modules in one fixed order, so that a cycle would break only whoever comes in by it."""
    program = """
import importlib, sys
import orchord
for first in sorted({module for module, _ in orchord._LATE.values()}):
    for name in [name for name in sys.modules if name.partition(".")[0] == "orchord"]:
        del sys.modules[name]
    importlib.import_module(first)
    print(first)
"""
    assert len(_fresh(program).split()) == len({module for module, _ in orchord._LATE.values()})


def test_threads_may_ask_for_their_first_names_at_the_same_time() -> None:
    program = """
import sys, threading
import orchord
sys.setswitchinterval(1e-5)
names = orchord.__all__
start, found = threading.Barrier(8), []

def ask(part):
    start.wait()
    found.extend((name, getattr(orchord, name)) for name in [*names[part::8], *names])

threads = [threading.Thread(target=ask, args=(part,)) for part in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert all(value is getattr(orchord, name) for name, value in found)
print(len(found) == 9 * len(names))
"""
    assert _fresh(program) == "True\n"


def test_what_users_derive_and_pickle_needs_no_name_asked_for_first(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text("import orchord as dg\nclass Settings(dg.Config):\n    size: int = 1\n")
    path = f"import pickle, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    kept = _fresh(path + "import users, orchord\nprint(pickle.dumps((users.Settings(), orchord.AssetKey('a'))).hex())")
    loaded = _fresh(path + f"print(pickle.loads(bytes.fromhex({kept.strip()!r})))")
    assert loaded == "(Settings(size=1), AssetKey(['a']))\n"


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
