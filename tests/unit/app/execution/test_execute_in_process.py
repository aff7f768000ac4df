"""``execute_in_process``: its result, its selections and inputs, how it fails, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchord.definitions.config import Config, RunConfig
from orchord.definitions.graph import graph
from orchord.definitions.in_out import GraphOut, Out
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.resources import ConfigurableResource
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.signals import RetryRequested
from orchord.errors import InvalidConfigError, InvalidDefinitionError, InvalidSubsetError, InvariantViolationError
from orchord.execution import build_op_context
from orchord.execution.contexts import OpExecutionContext
from orchord.runs import RunStatus


@op
def numbers() -> list[int]:
    return list(range(1, 11))


@op
def total(values: list[int]) -> int:
    return sum(values)


@op
def add(x: int, y: int) -> int:
    return x + y


@graph
def halves(values):  # type: ignore[no-untyped-def]
    return add(total.alias("left")(values), total.alias("right")(values))


@job(tags={"team": "a"})
def nested() -> None:
    halves(numbers())


def test_values_are_read_by_node_also_inside_graphs() -> None:
    result = nested.execute_in_process()
    assert result.success
    assert result.output_for_node("numbers") == list(range(1, 11))
    assert result.output_for_node("halves.left") == 55
    assert result.output_for_node("halves") == 110
    assert [event.step_key for event in result.events_for_node("halves") if event.type == "STEP_START"] == [
        "halves.left",
        "halves.right",
        "halves.add",
    ]


def test_a_graphs_own_outputs_are_read_by_name() -> None:
    @graph(out={"low": GraphOut(), "high": GraphOut()})
    def bounds() -> Any:
        values = numbers()
        return {"low": total.alias("low")(values), "high": total.alias("high")(values)}

    result = bounds.execute_in_process()
    assert (result.output_value("low"), result.output_value("high")) == (55, 55)
    with pytest.raises(InvariantViolationError, match="'bounds' has no output 'lou'. Did you mean 'low'?"):
        result.output_value("lou")


@pytest.mark.parametrize(
    ("node", "output", "message"),
    [
        ("number", "result", "has no node 'number'. Did you mean 'numbers'?"),
        ("halves.lef", "result", "'halves' has no node 'lef'. Did you mean 'left'?"),
        ("numbers", "other", "'numbers' has no output 'other'. Known: result."),
    ],
)
def test_values_that_do_not_exist_are_errors_with_the_nearest_name(node: str, output: str, message: str) -> None:
    with pytest.raises(InvariantViolationError) as caught:
        nested.execute_in_process().output_for_node(node, output)
    assert message in str(caught.value)


def test_events_come_in_order_and_frame_the_run() -> None:
    types = [event.type for event in nested.execute_in_process(op_selection=["numbers"]).all_events]
    assert types == ["RUN_START", "STEP_START", "STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS", "RUN_SUCCESS"]


class OwnError(Exception):
    pass


@op
def fails() -> int:
    raise OwnError("mine")


@job
def broken() -> None:
    add(fails(), add.alias("fine")(total(numbers()), total.alias("again")(numbers.alias("more")())))


def test_the_users_own_exception_is_raised() -> None:
    with pytest.raises(OwnError, match="mine"):
        broken.execute_in_process()


def test_without_raising_the_result_tells_and_what_does_not_depend_goes_on() -> None:
    result = broken.execute_in_process(raise_on_error=False)
    assert not result.success
    assert result.run.status is RunStatus.FAILURE
    assert result.get_failed_step_keys() == {"fails"}
    assert result.is_node_success("fine")
    assert result.is_node_skipped("add")
    assert [event.message for event in result.get_step_skipped_events()] == [
        "Step 'add' was not run, as upstream failed: fails"
    ]
    failure = result.failure_data_for_node("fails")
    assert failure is not None
    assert failure.error is not None
    assert failure.error.cls_name == "OwnError"
    assert result.all_events[-1].type == "RUN_FAILURE"
    assert result.all_events[-1].message == "Run for 'broken' failed. Steps that failed: fails"
    with pytest.raises(InvariantViolationError, match="There is no value of output 'result' of 'add' in this run"):
        result.output_for_node("add")


def test_an_interrupt_ends_the_run_as_canceled_and_is_raised() -> None:
    ran = []

    @op
    def interrupted() -> int:
        raise KeyboardInterrupt

    @op
    def later(x: int) -> None:
        ran.append(x)

    @job
    def stopped() -> None:
        later(interrupted())

    with pytest.raises(KeyboardInterrupt):
        stopped.execute_in_process(raise_on_error=False)
    assert not ran


def test_a_step_is_retried_and_others_go_first_while_it_waits() -> None:
    order = []

    @op
    def flaky(context: OpExecutionContext) -> int:
        order.append(f"flaky {context.retry_number}")
        if context.retry_number < 2:
            raise RetryRequested(max_retries=2, seconds_to_wait=0.01)
        return 1

    @op
    def steady() -> None:
        order.append("steady")

    @job
    def retried() -> None:
        flaky()
        steady()

    result = retried.execute_in_process()
    assert order == ["flaky 0", "steady", "flaky 1", "flaky 2"]
    assert result.retry_attempts_for_node("flaky") == 2
    types = [event.type for event in result.events_for_node("flaky")]
    assert types.count("STEP_UP_FOR_RETRY") == types.count("STEP_RESTARTED") == 2


def test_the_jobs_policy_retries_ops_without_one() -> None:
    attempts = []

    @op
    def flaky() -> int:
        attempts.append(1)
        raise OwnError("again")

    @job(op_retry_policy=RetryPolicy(max_retries=3))
    def retried() -> None:
        flaky()

    assert not retried.execute_in_process(raise_on_error=False).success
    assert len(attempts) == 4


class Greeting(Config):
    name: str = "you"
    loud: bool = False


class Printer(ConfigurableResource):
    prefix: str = ">"


@op
def greet(config: Greeting, printer: Printer) -> str:
    text = f"{printer.prefix} hello {config.name}"
    return text.upper() if config.loud else text


@job(resource_defs={"printer": Printer()}, config={"ops": {"greet": {"config": {"name": "all"}}}})
def greeting() -> None:
    greet()


def test_config_is_laid_over_the_jobs_own_and_resources_are_replaced() -> None:
    assert greeting.execute_in_process().output_for_node("greet") == "> hello all"
    config = RunConfig(ops={"greet": Greeting(name="me", loud=True)})
    assert greeting.execute_in_process(run_config=config).output_for_node("greet") == "> HELLO ME"
    replaced = greeting.execute_in_process(resources={"printer": Printer(prefix="#")})
    assert replaced.output_for_node("greet") == "# hello all"


def test_mistakes_of_config_are_raised_before_anything_runs() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        greeting.execute_in_process(run_config={"ops": {"greet": {"config": {"nam": 1, "loud": "x"}}}})
    assert len(caught.value.mistakes) == 2


def test_missing_resources_are_named_before_anything_runs() -> None:
    @job
    def lacking() -> None:
        greet()

    with pytest.raises(InvalidDefinitionError, match="Job 'lacking' cannot be run: .*no resource 'printer'"):
        lacking.execute_in_process()


def test_a_selection_of_ops_runs_those_alone() -> None:
    result = nested.execute_in_process(op_selection=["*halves.left"])
    assert {event.step_key for event in result.get_step_success_events()} == {"numbers", "halves.left"}
    with pytest.raises(InvalidSubsetError, match="'nubers'"):
        nested.execute_in_process(op_selection=["nubers"])


def test_the_runs_tags_and_id_are_those_given() -> None:
    @op
    def tags(context: OpExecutionContext) -> Any:
        return (context.run_id, context.get_tag("team"), context.get_tag("by"), context.has_tag("x"))

    @job(tags={"team": "a"})
    def tagged() -> None:
        tags()

    result = tagged.execute_in_process(run_id="my-run", tags={"by": "me"})
    assert result.output_for_node("tags") == ("my-run", "a", "me", False)
    assert result.run.tags == {"team": "a", "by": "me"}


def test_resources_are_set_up_once_for_the_whole_run_and_torn_down_after_it() -> None:
    order = []

    class Pool(ConfigurableResource):
        def setup_for_execution(self, context: Any) -> None:
            order.append("up")

        def teardown_after_execution(self, context: Any) -> None:
            order.append("down")

    @op
    def uses(pool: Pool) -> None:
        order.append("use")

    @job(resource_defs={"pool": Pool()})
    def shared() -> None:
        uses.alias("first")()
        uses.alias("second")()

    result = shared.execute_in_process()
    assert order == ["up", "use", "use", "down"]
    assert sum(event.type == "RESOURCE_INIT_SUCCESS" for event in result.all_events) == 1


def test_resources_that_cannot_be_set_up_fail_every_step_of_the_run() -> None:
    class Down(ConfigurableResource):
        def setup_for_execution(self, context: Any) -> None:
            raise OwnError("no connection")

    @op
    def uses(down: Down) -> None: ...

    @job(resource_defs={"down": Down()})
    def shared() -> None:
        uses.alias("first")()
        uses.alias("second")()

    result = shared.execute_in_process(raise_on_error=False)
    assert result.get_failed_step_keys() == {"first", "second"}
    assert sum(event.type == "RESOURCE_INIT_FAILURE" for event in result.all_events) == 1
    failure = result.failure_data_for_node("first")
    assert failure is not None
    assert failure.error is not None
    assert failure.error.cause is not None
    assert failure.error.cause.message == "no connection"


def test_a_run_inside_a_step_does_not_disturb_it() -> None:
    @op
    def outer(context: OpExecutionContext) -> int:
        inner = nested.execute_in_process().output_for_node("halves")
        assert OpExecutionContext.get() is context
        context.log.info("after")
        return int(inner)

    @job
    def outside() -> None:
        outer()

    result = outside.execute_in_process()
    assert result.output_for_node("outer") == 110
    assert [event.message for event in result.all_events if event.type == "LOG"] == ["after"]


def test_several_outputs_may_be_skipped_over_by_a_selection_of_one() -> None:
    @op(out={"a": Out(is_required=False), "b": Out(is_required=False)})
    def either() -> Iterator[Any]:
        yield Output(1, "a")

    @op
    def joins(values: list[Any]) -> int:
        return len(values)

    @job
    def joined() -> None:
        a, b = either()
        joins([a, b])

    assert joined.execute_in_process().output_for_node("joins") == 1


def test_the_numbers_job_takes_less_than_five_milliseconds_once_warm() -> None:
    @job
    def process_numbers() -> None:
        values = numbers()
        add(
            total.alias("even")(total_of_every_second.alias("pick_even")(values)),
            total.alias("odd")(total_of_every_second.alias("pick_odd")(values)),
        )

    durations = []
    for _ in range(30):
        started = time.perf_counter()
        assert process_numbers.execute_in_process().success
        durations.append(time.perf_counter() - started)
    # The quickest tells what the work costs, the others how busy the machine is.
    assert min(durations) < 0.005


@op
def total_of_every_second(values: list[int]) -> list[int]:
    return values[::2]


def test_a_selection_needs_no_config_of_what_does_not_run():
    class Sized(Config):
        size: int

    @op
    def sized(config: Sized):
        return config.size

    @op
    def free():
        return 1

    @job
    def both():
        sized()
        free()

    assert both.execute_in_process(op_selection=["free"]).output_for_node("free") == 1
    with pytest.raises(InvalidConfigError, match="ops.sized.config.size: missing"):
        both.execute_in_process(op_selection=["sized"])
    with pytest.raises(InvalidConfigError, match="ops.sized.config.size: found 'x'"):
        both.execute_in_process({"ops": {"sized": {"config": {"size": "x"}}}}, op_selection=["free"])


def test_config_given_for_an_op_stands_in_place_of_the_jobs_own_for_it():
    class Sized(Config):
        size: int
        unit: str = "m"

    @op
    def sized(config: Sized):
        return f"{config.size}{config.unit}"

    own = {"ops": {"sized": {"config": {"size": 1, "unit": "km"}}, "other": {"config": {"size": 2}}}}

    @job(config=own)
    def measured():
        sized()
        sized.alias("other")()

    def made(run_config):
        result = measured.execute_in_process(run_config)
        return result.output_for_node("sized"), result.output_for_node("other"), result.run.run_config

    assert made(None) == made({}) == ("1km", "2m", own)
    given = {"ops": {"sized": {"config": {"size": 5}}}}
    assert made(given) == ("5m", "2m", {"ops": {**own["ops"], **given["ops"]}})
    assert made(RunConfig(ops={"other": Sized(size=3)}))[:2] == ("1km", "3m")
    with pytest.raises(InvalidConfigError, match="ops.sized.config.size: missing"):
        made({"ops": {"sized": {"config": {"unit": "cm"}}}})


def test_the_end_of_the_run_is_an_event() -> None:
    result = broken.execute_in_process(raise_on_error=False)
    assert result.get_job_failure_event().type == "RUN_FAILURE"
    assert result.get_run_failure_event() == result.all_events[-1]
    with pytest.raises(InvariantViolationError, match=r"^The run did not succeed: its last event is RUN_FAILURE\.$"):
        result.get_job_success_event()
    run = result.dagster_run
    assert (run.is_finished, run.is_success, run.is_failure, run.is_cancelable) == (True, False, True, False)


def test_the_context_knows_the_op_as_it_is_used() -> None:
    @op
    def name(context: OpExecutionContext) -> str:
        return context.op.name

    @job
    def aliased() -> None:
        name.alias("other")()

    assert aliased.execute_in_process().output_for_node("other") == "other"
    assert name(build_op_context()) == "name"
