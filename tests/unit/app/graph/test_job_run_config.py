"""What run config a job takes, every mistake in it at once, and what each step gets of it."""

from __future__ import annotations

from typing import Any

import pytest

import orchord as dg
from orchord.definitions.config import Config, ConfigMapping, Field, RunConfig, check_config, config_mapping
from orchord.definitions.executors import multiprocess_executor
from orchord.definitions.graph import graph
from orchord.definitions.in_out import In
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.resources import resource
from orchord.definitions.types import Nothing
from orchord.errors import InvalidConfigError


class Reading(Config):
    path: str
    limit: int = 10


class Simple(Config):
    word: str


@op
def read(config: Reading): ...


@op(config_schema={"word": str})
def greet(context): ...


@op
def free(context): ...


@op
def show(number: int): ...


@graph
def inner():
    read()


@job
def made():
    inner()
    read()
    free()


def mistakes(job_def, config):
    found = list(check_config(job_def.config_type(), config).mistakes)
    with pytest.raises(InvalidConfigError) as caught:
        job_def.resolve_run_config(config)
    assert list(caught.value.mistakes) == found
    assert str(caught.value).startswith(f"Run config of job '{job_def.name}' has mistakes")
    return found


def test_config_finds_its_steps_with_defaults_filled_in():
    resolved = made.resolve_run_config(
        {
            "ops": {
                "inner": {"ops": {"read": {"config": {"path": "a", "limit": 3}}}},
                "read": {"config": {"path": "b"}},
                "free": {"config": [1, {"any": "thing"}]},
            }
        }
    )
    assert resolved.ops == {
        "inner.read": {"path": "a", "limit": 3},
        "read": {"path": "b", "limit": 10},
        "free": [1, {"any": "thing"}],
    }
    assert (resolved.inputs, resolved.resources) == ({}, {})


def test_every_mistake_comes_at_once_with_its_path():
    assert mistakes(
        made,
        {
            "ops": {
                "inner": {"ops": {"read": {"config": {"path": 5, "limt": 3}}}},
                "raed": {},
                "free": {"confg": 1},
            },
            "resorces": {},
        },
    ) == [
        "ops.inner.ops.read.config.path: found 5 (Int), expected String.",
        "ops.inner.ops.read.config.limt: unknown key. Did you mean 'limit'?",
        "ops.raed: unknown key. Did you mean 'read'?",
        "ops.free.confg: unknown key. Did you mean 'config'?",
        "ops.read.config.path: missing, expected String.",
        "resorces: unknown key. Did you mean 'resources'?",
    ]


def test_nothing_is_required_where_everything_has_a_default():
    @op
    def relaxed(config: Config, number: int = 3): ...

    @op
    def tidy(start, end=None): ...

    @job
    def easy():
        relaxed()
        tidy(relaxed.alias("again")())

    for config in ({}, None, {"ops": {}}, {"ops": {"relaxed": {}, "tidy": {}}}, RunConfig()):
        assert easy.resolve_run_config(config).inputs == {}


def test_inputs_that_nothing_feeds_take_their_values_from_config():
    @graph
    def nested(number):
        show(number)

    @op
    def many(numbers: list[int], anything, extra: str = "x"): ...

    @job
    def open_ends(number):
        show()
        show(number)
        nested()
        many()

    given = {
        "inputs": {"number": 1},
        "ops": {
            "show": {"inputs": {"number": {"value": 2}}},
            "nested": {"inputs": {"number": {"json": {"path": "n.json"}}}},
            "many": {"inputs": {"numbers": [1, 2], "anything": {"free": "form"}}},
        },
    }
    assert open_ends.resolve_run_config(given).inputs == {
        "show": {"number": {"value": 2}},
        "show_2": {"number": 1},
        "nested.show": {"number": {"json": {"path": "n.json"}}},
        "many": {"numbers": [1, 2], "anything": {"free": "form"}},
    }
    number = "Int or a dict with exactly one of 'value', 'json', 'pickle'"
    numbers = f"a list of {number}"
    assert mistakes(open_ends, {"ops": {"show": {"inputs": {"number": "no"}}}}) == [
        f"ops.show.inputs.number: found 'no' (String), expected {number}.",
        f"ops.nested.inputs.number: missing, expected {number}.",
        f"ops.many.inputs.numbers: missing, expected {numbers}.",
        "ops.many.inputs.anything: missing, expected Any.",
        f"inputs.number: missing, expected {number}.",
    ]


def test_inputs_with_other_sources_take_none():
    @op(ins={"start": In(Nothing), "fed": In(input_manager_key="reader")})
    def later(fed): ...

    @job(input_values={"number": 5})
    def closed(number):
        show(number)
        later()

    assert closed.resolve_run_config({}).inputs == {}
    assert closed.resolve_run_config({"inputs": {"number": 6}}).inputs == {"show": {"number": 6}}
    assert mistakes(closed, {"ops": {"later": {"inputs": {"start": 1}}}}) == [
        "ops.later.inputs: unknown key. Known: config."
    ]


def test_resources_are_required_when_a_step_needs_them():
    @resource(config_schema={"url": str})
    def db(context): ...

    @op(required_resource_keys={"db"})
    def store(context): ...

    def with_op(definition):
        @job(resource_defs={"db": db, "plain": 5})
        def stored():
            definition()

        return stored

    assert mistakes(with_op(store), {}) == ["resources.db.config.url: missing, expected String."]
    given = {"resources": {"db": {"config": {"url": "x"}}}}
    assert with_op(store).resolve_run_config(given).resources["db"] == {"config": {"url": "x"}}
    assert "db" not in with_op(free).resolve_run_config({}).resources
    assert with_op(free).resolve_run_config(given).resources["db"] == {"config": {"url": "x"}}
    assert mistakes(with_op(free), {"resources": {"dp": {}}}) == ["resources.dp: unknown key. Known: db, plain."]


def test_defaults_of_fields_and_of_config_parameters():
    @op(config_schema=Field(str, default_value="a"))
    def field(context): ...

    @op
    def number(config: int = 5): ...

    @op
    def reading(config: Reading = Reading(path="here")): ...

    @op
    def missing(config: Reading | None = None): ...

    @op(config_schema=Any)
    def anything(context): ...

    @job
    def defaulted():
        field()
        number()
        reading()
        missing()
        anything()
        greet.configured(lambda size: {"word": "x" * size}, name="mapped", config_schema=Field(int, default_value=2))()

    resolved = defaulted.resolve_run_config({"ops": {"reading": {"config": {"path": "there"}}}})
    assert resolved.ops == {
        "field": "a",
        "number": 5,
        "reading": {"path": "there", "limit": 10},
        "missing": None,
        "mapped": 2,
    }
    assert defaulted.resolve_run_config({}).ops["reading"] == {"path": "here", "limit": 10}
    assert defaulted.node_at("mapped").definition.resolve_config(2) == {"word": "xx"}


class TestMappings:
    def test_a_graph_with_a_mapping_hides_what_is_inside(self):
        @config_mapping(config_schema={"word": str})
        def simple(config):
            return {"greet": {"config": {"word": config["word"] * 2}}}

        @graph(config=simple)
        def greeting():
            greet()

        @job
        def outer():
            greeting()

        resolved = outer.resolve_run_config({"ops": {"greeting": {"config": {"word": "hi"}}}})
        assert resolved.ops == {"greeting.greet": {"word": "hihi"}}
        assert mistakes(outer, {"ops": {"greeting": {"ops": {}}}}) == [
            "ops.greeting.ops: unknown key. Known: config.",
            "ops.greeting.config.word: missing, expected String.",
        ]

    def test_a_graph_with_fixed_config_and_configured_graphs(self):
        @graph(config={"greet": {"config": {"word": "fixed"}}})
        def fixed():
            greet()

        def from_size(config):
            return {"greet": {"config": {"word": "x" * config["size"]}}}

        @graph(config=ConfigMapping(from_size, config_schema={"size": int}))
        def sized():
            greet()

        three = sized.configured({"size": 3}, name="three")
        double = sized.configured(lambda config: {"size": 2 * config}, name="double", config_schema=int)

        @job
        def outer():
            fixed()
            three()
            double()

        assert outer.resolve_run_config({"ops": {"double": {"config": 2}}}).ops == {
            "fixed.greet": {"word": "fixed"},
            "three.greet": {"word": "xxx"},
            "double.greet": {"word": "xxxx"},
        }

    def test_a_graph_with_a_mapping_as_a_job(self):
        @config_mapping(config_schema={"word": str})
        def simple(config):
            return {"greet": {"config": {"word": config["word"] or 5}}}

        @graph(config=simple)
        def greeting():
            greet()

        @graph(config={"greet": {"config": {"word": "fixed"}}})
        def fixed():
            greet()

        made = greeting.to_job(name="made")
        assert made.resolve_run_config({"ops": {"config": {"word": "hi"}}}).ops == {"greet": {"word": "hi"}}
        assert fixed.to_job().resolve_run_config({}).ops == {"greet": {"word": "fixed"}}
        assert mistakes(made, {}) == ["ops.config.word: missing, expected String."]
        with pytest.raises(InvalidConfigError) as caught:
            made.resolve_run_config({"ops": {"config": {"word": ""}}})
        assert caught.value.mistakes == ("(config mapping of made).greet.config.word: found 5 (Int), expected String.",)

    def test_what_a_mapping_makes_is_checked(self):
        @config_mapping(config_schema={"word": str})
        def wrong(config):
            return {"greet": {"config": {"word": 5}}, "gret": {}}

        @graph(config=wrong)
        def greeting():
            greet()

        @job
        def outer():
            greeting()

        with pytest.raises(InvalidConfigError) as caught:
            outer.resolve_run_config({"ops": {"greeting": {"config": {"word": "x"}}}})
        assert list(caught.value.mistakes) == [
            "(config mapping of greeting).greet.config.word: found 5 (Int), expected String.",
            "(config mapping of greeting).gret: unknown key. Did you mean 'greet'?",
        ]

    def test_a_job_with_a_mapping_takes_the_outer_config_alone(self):
        @config_mapping
        def simple(config: Simple) -> RunConfig:
            return RunConfig(ops={"greet": {"config": {"word": config.word}}})

        @job(config=simple)
        def mapped():
            greet()

        assert mapped.resolve_run_config({"word": "hi"}).ops == {"greet": {"word": "hi"}}
        assert check_config(mapped.config_type(), {"ops": {}}).mistakes == [
            "ops: unknown key. Known: word.",
            "word: missing, expected String.",
        ]
        assert mapped.default_run_config() == {}


def test_the_default_config_is_used_when_none_is_given():
    @job(config={"ops": {"greet": {"config": {"word": "default"}}}})
    def greeting():
        greet()

    assert greeting.resolve_run_config().ops == {"greet": {"word": "default"}}
    assert greeting.resolve_run_config({"ops": {"greet": {"config": {"word": "x"}}}}).ops == {"greet": {"word": "x"}}


def test_a_result_is_kept_for_the_same_config():
    config = {"ops": {"read": {"config": {"path": "b"}}, "inner": {"ops": {"read": {"config": {"path": "a"}}}}}}
    assert made.resolve_run_config(config) is made.resolve_run_config(dict(reversed(config.items())))
    assert made.with_resources({"a": 1}).resolve_run_config(config) is not made.resolve_run_config(config)


def test_config_that_is_no_dict():
    with pytest.raises(InvalidConfigError, match="found 5 \\(int\\), expected a dict or RunConfig"):
        made.resolve_run_config(5)


def test_config_of_the_executor_is_checked_and_without_one_that_of_the_default():
    @job
    def plain():
        free()

    assert plain.resolve_run_config({"execution": {"config": {}}}).execution == {"config": {}}
    assert mistakes(plain, {"execution": {"config": {"max_concurrent": 5}}}) == [
        (
            "execution.config.max_concurrent: unknown key. Known: backend, broker, config_source, in_process, include, "
            "multiprocess, priority, retries."
        )
    ]
    several = plain.with_executor(multiprocess_executor)
    assert several.resolve_run_config({"execution": {"config": {"max_concurrent": 5}}}).execution == {
        "config": {"max_concurrent": 5}
    }
    assert mistakes(several, {"execution": {"config": {"max_concurrent": "x"}, "conf": {}}}) == [
        "execution.config.max_concurrent: found 'x' (String), expected Int or None.",
        "execution.conf: unknown key. Did you mean 'config'?",
    ]


def test_run_config_is_validated_without_a_run():
    @dg.op(config_schema={"rows": int})
    def load(context): ...

    @dg.job(config={"ops": {"load": {"config": {"rows": 1}}}})
    def loading():
        load()

    assert dg.validate_run_config(loading) == {"ops": {"load": {"config": {"rows": 1}}}}
    given = dg.RunConfig(ops={"load": {"config": {"rows": 2}}})
    assert dg.validate_run_config(loading, given)["ops"] == {"load": {"config": {"rows": 2}}}
    with pytest.raises(dg.InvalidConfigError, match="ops.load.config.row: unknown key. Did you mean 'rows'?"):
        dg.validate_run_config(loading, {"ops": {"load": {"config": {"row": 2}}}})
