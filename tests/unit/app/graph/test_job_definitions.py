"""What a job holds and hands out: hooks, resources, input values, tags, copies, and its ops by step."""

from __future__ import annotations

import pytest

from orchord.definitions.config import RunConfig
from orchord.definitions.engine import engine, install
from orchord.definitions.executors import in_process_executor
from orchord.definitions.graph import graph
from orchord.definitions.hooks import failure_hook, success_hook
from orchord.definitions.in_out import In, Out
from orchord.definitions.job import JobDefinition, job
from orchord.definitions.job_resources import job_resource_keys, resource_mistakes
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.resources import ResourceDefinition, resource
from orchord.errors import InvalidDefinitionError, InvalidInvocationError, NotFoundError
from orchord.plan.compile import compile_plan


@op
def one(): ...


@op
def show(x): ...


@success_hook(required_resource_keys={"mail"})
def told(context): ...


@failure_hook
def warned(context): ...


@resource(required_resource_keys={"pool"})
def db(context): ...


def test_a_job_takes_what_it_is_given():
    @job(
        name="nightly",
        description="for people",
        tags={"team": "core"},
        run_tags={"tier": "1"},
        metadata={"m": 1},
        owners=["team:core"],
        resource_defs={"db": db, "plain": 5},
    )
    def made():
        one()

    assert (made.name, made.description, made.owners) == ("nightly", "for people", ("team:core",))
    assert (made.tags, made.run_tags, made.tags_of_runs) == ({"team": "core"}, {"tier": "1"}, {"tier": "1"})
    assert made.metadata == {"m": 1}
    assert all(isinstance(item, ResourceDefinition) for item in made.resource_defs.values())
    assert made.graph.name == "nightly"


def test_tags_go_to_runs_unless_there_are_run_tags():
    @job(tags={"team": "core"})
    def made():
        """In words."""
        one()

    assert made.tags_of_runs == {"team": "core"}
    assert made.description == "In words."


def test_a_graph_becomes_jobs_of_other_names():
    @graph(tags={"a": "b"})
    def inner():
        one()

    made = inner.to_job("other", tags={"c": "d"}, hooks={told}, config={"ops": {"one": {}}})
    assert isinstance(made, JobDefinition)
    assert (made.name, made.tags, made.hooks) == ("other", {"a": "b", "c": "d"}, frozenset({told}))
    assert inner.to_job().name == "inner"


def test_hooks_of_job_op_use_and_nested_graph_meet_at_the_step():
    @success_hook
    def on_graph(context): ...

    @success_hook
    def on_use(context): ...

    @graph
    def inner():
        one.with_hooks({on_use})()

    @told
    @job(hooks={warned})
    def made():
        inner.with_hooks({on_graph})()
        one()

    assert made.step_hooks("inner.one") == {told, warned, on_graph, on_use}
    assert made.step_hooks("one") == {told, warned}
    assert (told.trigger, warned.trigger) == ("success", "failure")


def test_ops_by_step_key():
    @graph
    def inner():
        one.alias("first")()

    @job
    def made():
        inner()

    assert made.node_at("inner.first").definition is one
    with pytest.raises(NotFoundError) as caught:
        made.node_at("inner.frist")
    assert str(caught.value) == "Job 'made' has no step 'inner.frist'. Did you mean 'inner.first'?"


def test_resources_of_steps_and_those_that_are_missing():
    @op(required_resource_keys={"db"}, out=Out(io_manager_key="disk"))
    def store(): ...

    @op(ins={"x": In(input_manager_key="reader")})
    def read(x): ...

    @job(hooks={told}, resource_defs={"db": db})
    def made():
        value = store()
        show(value)
        read(value)

    assert made.required_resource_keys("store") == {"db", "disk", "mail"}
    assert made.required_resource_keys("show") == {"disk", "io_manager", "mail"}
    assert compile_plan(made).step("read").resource_keys == ("io_manager", "mail", "reader")
    assert resource_mistakes(made) == [
        "job 'made' has no resource 'disk', which step 'store' and 1 more need. Known: db.",
        "job 'made' has no resource 'io_manager', which step 'show' and 1 more need. Known: db.",
        "job 'made' has no resource 'mail', which step 'store' and 2 more need. Known: db.",
        "job 'made' has no resource 'reader', which step 'read' needs. Known: db.",
        "No resource 'pool' is given, which resource 'db' requires. Known: db.",
    ]
    bound = made.with_resources({"disk": 1, "io_manager": 1, "mail": 1, "reader": 1, "pool": 1})
    assert resource_mistakes(bound) == []
    assert job_resource_keys(bound) == {"db", "disk", "io_manager", "mail", "reader", "pool"}


def test_copies_share_the_plan_unless_they_change_it():
    @job(resource_defs={"a": 1})
    def made():
        one()

    other = made.with_resources({"a": 2, "b": 3})
    assert other is not made
    assert other.resource_defs["a"] is not made.resource_defs["a"]
    assert set(made.resource_defs) == {"a"}
    assert compile_plan(other) is compile_plan(made)
    assert compile_plan(made.with_executor(in_process_executor)) is compile_plan(made)
    assert compile_plan(made.with_hooks({told})) is not compile_plan(made)


def test_input_values_reach_the_inputs_they_are_passed_to():
    @graph
    def inner(y):
        show(y)

    @job(input_values={"x": 5})
    def made(x):
        inner(x)
        show(x)

    (value,) = compile_plan(made).step("inner.show").inputs
    assert value.has_default
    assert made.direct_input_value("inner.show", "x") == 5
    assert made.direct_input_value("show", "x") == 5
    other = made.with_input_values({"x": 6})
    assert (other.direct_input_value("show", "x"), made.direct_input_value("show", "x")) == (6, 5)
    with pytest.raises(InvalidDefinitionError) as caught:
        made.with_input_values({"z": 1})
    assert str(caught.value) == (
        "Job 'made' cannot be right: input_values gives 'z', which is no input of the job. Known: x."
    )


def test_no_input_value_is_given_for_other_inputs():
    @job(input_values={"x": 5})
    def made(x):
        show(x)
        show(one())
        show()

    missing = object()
    assert made.direct_input_value("show_2", "x", missing) is missing
    assert made.direct_input_value("show_3", "x", missing) is missing


def test_default_run_config_is_plain_and_stands_where_nothing_is_given():
    @op(config_schema={"a": int, "b": int})
    def sized(context): ...

    @job(config=RunConfig(ops={"sized": {"config": {"a": 1, "b": 2}}}))
    def made():
        sized()

    assert made.default_run_config() == {"ops": {"sized": {"config": {"a": 1, "b": 2}}}}
    made.default_run_config()["ops"].clear()
    assert made.merged_run_config({"ops": {"sized": {"config": {"b": 3}}}}) == {"ops": {"sized": {"config": {"b": 3}}}}
    assert made.merged_run_config({"loggers": {}}) == {**made.default_run_config(), "loggers": {}}
    assert made.merged_run_config(None) == made.default_run_config()


def test_executing_goes_through_the_engine():
    calls = []

    class Recorder:
        def invoke(self, definition, args, kwargs):
            calls.append((definition, args, dict(kwargs)))
            return "invoked"

        def execute_job(self, job_def, **options):
            calls.append((job_def, options))
            return "executed"

    @graph
    def inner():
        one()

    @job
    def made():
        one()

    before = engine()
    install(Recorder())
    try:
        assert show(1, x=2) == "invoked"
        assert made.execute_in_process({"a": 1}, tags={"t": "u"}, op_selection=["one"]) == "executed"
        assert inner.execute_in_process(input_values={"x": 1}) == "executed"
    finally:
        install(before)
    assert calls[0] == (show, (1,), {"x": 2})
    assert calls[1][0] is made
    assert calls[1][1]["run_config"] == {"a": 1}
    assert calls[1][1]["raise_on_error"] is True
    assert calls[2][0].name == "inner"


def test_outputs_compare_by_what_they_say_and_hide_their_value():
    assert Output(1, "a", {"m": 1}) == Output(1, "a", {"m": 1})
    assert Output(1) != Output(2)
    assert repr(Output("secret")) == "Output(output_name='result', value=<str>)"
    assert Output(1, None).output_name == "result"


def test_a_job_is_no_function():
    @job
    def made():
        one()

    with pytest.raises(InvalidInvocationError) as caught:

        @job
        def outer():
            made()

    assert str(caught.value) == (
        "Job 'made' is called. Run it by made.execute_in_process(); to use it inside another job, make it a @graph."
    )
