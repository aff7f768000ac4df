"""What @op reads from a function: inputs, outputs, context, config, resources, and what stands beside it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from orchord.definitions.config import Config
from orchord.definitions.in_out import NO_VALUE, In, Out
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.resources import ConfigurableResource, ResourceParam
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.types import Any as AnyType
from orchord.definitions.types import Int, Nothing, String

if TYPE_CHECKING:
    from somewhere_absent import OpExecutionContext


def names(definition):
    return {name: declared.dagster_type.name for name, declared in definition.ins.items()}


def outs(definition):
    return {name: declared.dagster_type.name for name, declared in definition.outs.items()}


def test_a_bare_op_takes_everything_from_its_function():
    @op
    def add(x: int, y: int = 2) -> int:
        """Add two numbers."""
        return x + y

    assert (add.name, add.description, add.kind) == ("add", "Add two numbers.", "op")
    assert names(add) == {"x": "Int", "y": "Int"}
    assert not add.ins["x"].has_default_value
    assert add.ins["y"].default_value == 2
    assert outs(add) == {"result": "Int"}
    assert not add.has_context
    assert add.__name__ == "add"
    assert add.compute_fn(1, 2) == 3


def test_parentheses_and_options():
    @op(
        name="other",
        description="for people",
        tags={"team": "core", "limits": {"cpu": 1}},
        retry_policy=RetryPolicy(max_retries=3),
        code_version="7",
        pool="db",
        required_resource_keys={"db"},
    )
    def add(x): ...

    assert (add.name, add.description, add.code_version, add.pool) == ("other", "for people", "7", "db")
    assert add.tags == {"team": "core", "limits": '{"cpu": 1}'}
    assert add.retry_policy == RetryPolicy(max_retries=3)
    assert add.required_resource_keys == {"db"}
    assert names(add) == {"x": "Any"}
    assert outs(add) == {"result": "Any"}


def test_the_old_tag_of_a_pool_is_read():
    @op(tags={"dagster/concurrency_key": "slow"})
    def old(): ...

    assert old.pool == "slow"


@pytest.mark.parametrize("name", ["context", "_context", "_", "__"])
def test_a_first_parameter_of_these_names_is_the_context(name):
    scope: dict[str, Any] = {}
    exec(f"def compute({name}, x): ...", scope)
    made = op(scope["compute"])
    assert made.has_context
    assert list(made.ins) == ["x"]


def test_a_context_annotation_that_cannot_be_imported_is_still_a_context():
    @op
    def compute(ctx: OpExecutionContext, x: int): ...

    assert made_of(compute) == (True, ["x"])


def test_context_is_only_the_first_parameter():
    @op
    def compute(x, context): ...

    assert made_of(compute) == (False, ["x", "context"])


def made_of(definition):
    return definition.has_context, list(definition.ins)


def test_annotations_that_cannot_be_resolved_count_as_absent():
    @op
    def compute(x: Missing, y: int) -> AlsoMissing: ...  # noqa: F821

    assert names(compute) == {"x": "Any", "y": "Int"}
    assert outs(compute) == {"result": "Any"}


def test_config_parameter_and_local_config_class():
    class Limits(Config):
        most: int
        least: int = 1

    @op
    def compute(context, config: Limits, x): ...

    assert compute.config_cls is Limits
    assert compute.config_param == "config"
    assert set(compute.config_type.fields) == {"most", "least"}
    assert list(compute.ins) == ["x"]
    assert compute.resolve_config({"most": 5}) == {"most": 5, "least": 1}


def test_a_plain_config_annotation_and_an_input_named_config():
    @op
    def plain(config: dict): ...

    @op(ins={"config": In(int)})
    def declared(config: int): ...

    @op
    def unannotated(config): ...

    assert (plain.config_param, list(plain.ins)) == ("config", [])
    assert (declared.config_param, list(declared.ins)) == (None, ["config"])
    assert (unannotated.config_param, list(unannotated.ins)) == (None, ["config"])


def test_resource_parameters():
    class Database(ConfigurableResource):
        url: str = "memory"

    @op(required_resource_keys={"log"})
    def compute(context, x, db: Database, client: ResourceParam[str]): ...

    assert compute.resource_params == {"db": "db", "client": "client"}
    assert compute.required_resource_keys == {"db", "client", "log"}
    assert list(compute.ins) == ["x"]


def test_declared_inputs_merge_with_the_signature():
    @op(
        ins={
            "y": In(str, description="a word", metadata={"unit": "m"}),
            "start": In(Nothing),
            "x": In(default_value=None),
        }
    )
    def compute(x: int, y="b"): ...

    assert names(compute) == {"x": "Int", "y": "String", "start": "Nothing"}
    assert compute.ins["x"].default_value is None
    assert compute.ins["y"].default_value == "b"
    assert compute.ins["y"].description == "a word"
    assert compute.ins["start"].is_nothing


def test_inputs_beyond_the_signature_need_double_star():
    @op(ins={"a": In(int), "b": In(str)})
    def compute(**values): ...

    assert names(compute) == {"a": "Int", "b": "String"}


def test_several_outputs_and_their_annotations():
    @op(out={"a": Out(), "b": Out(str), "c": Out(is_required=False, io_manager_key="disk")})
    def compute() -> tuple[int, int, Output[float]]: ...

    assert outs(compute) == {"a": "Int", "b": "String", "c": "Float"}
    assert not compute.outs["c"].is_required
    assert [out.manager_key for out in compute.outs.values()] == ["io_manager", "io_manager", "disk"]


def test_one_named_output_and_none():
    @op(out={"only": Out()})
    def named() -> int: ...

    @op(out={})
    def without(): ...

    @op(out=Out(str))
    def single() -> int: ...

    assert outs(named) == {"only": "Int"}
    assert without.outs == {}
    assert single.outs["result"].dagster_type is String


def test_annotations_of_generators_output_and_none():
    @op
    def generator() -> int:
        yield Output(1)

    @op
    async def later() -> int: ...

    @op
    def wrapped() -> Output[int]: ...

    @op
    def bare() -> Output: ...

    @op
    def nothing() -> None: ...

    assert generator.outs["result"].dagster_type is AnyType
    assert later.outs["result"].dagster_type is Int
    assert wrapped.outs["result"].dagster_type is Int
    assert bare.outs["result"].dagster_type is AnyType
    assert nothing.outs["result"].is_nothing


def test_wrapped_functions_partials_and_callable_objects():
    def decorate(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)

        return inner

    @op
    @decorate
    def wrapped(x: int) -> int: ...

    class Adder:
        def __call__(self, x: int) -> int: ...

    def add(x: int, y: int) -> int: ...

    assert names(wrapped) == {"x": "Int"}
    assert names(op(name="adder")(Adder())) == {"x": "Int"}
    assert names(op(name="part")(functools.partial(add, y=1))) == {"x": "Int", "y": "Int"}


def test_keyword_only_parameters_are_inputs():
    @op
    def compute(*, x: int = 3): ...

    assert compute.ins["x"].default_value == 3
    assert compute.ins["x"].dagster_type is Int


def test_no_value_is_false_and_says_what_it_is():
    assert not NO_VALUE
    assert repr(NO_VALUE) == "<no value>"


def test_configured_ops_take_other_config():
    @op(config_schema={"size": int, "kind": str})
    def compute(context): ...

    fixed = compute.configured({"size": 3, "kind": "a"}, name="fixed")

    def from_size(config):
        return {"size": config["wide"] * 2, "kind": "b"}

    mapped = compute.configured(from_size, name="mapped", config_schema={"wide": int})
    again = mapped.configured({"wide": 4}, name="again")

    assert fixed.name == "fixed"
    assert fixed.resolve_config({}) == {"size": 3, "kind": "a"}
    assert mapped.resolve_config({"wide": 2}) == {"size": 4, "kind": "b"}
    assert again.resolve_config({}) == {"size": 8, "kind": "b"}
    assert compute.resolve_config({"size": 1, "kind": "c"}) == {"size": 1, "kind": "c"}
