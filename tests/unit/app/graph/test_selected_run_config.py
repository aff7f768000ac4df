"""Run config of a run of some steps: it lacks what only the others need, where code is and where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.assets.decorators import asset
from orchord.definitions.config import Config, ConfigMapping, check_config, config_mapping
from orchord.definitions.definitions_object import Definitions
from orchord.definitions.graph import graph
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.resources import ConfigurableResource, ResourceDependency, resource
from orchord.definitions.selected_config import ChosenSteps, closed_over
from orchord.errors import InvalidConfigError
from orchord.snapshot import decode_job, encode, job_snapshot


class Reading(Config):
    path: str


class Address(ConfigurableResource):
    url: str


class Client(ConfigurableResource):
    address: ResourceDependency[Address]


@resource(config_schema={"url": str})
def db(context): ...


@resource(required_resource_keys={"db"})
def cache(context): ...


@op
def read(config: Reading): ...


@op(config_schema={"word": str})
def greet(context): ...


@op
def free(): ...


@op
def show(number: int): ...


@op(required_resource_keys={"db"})
def store(context): ...


@op(required_resource_keys={"cache"})
def look_up(context): ...


@graph
def inner():
    read()
    greet()


@graph(config=ConfigMapping(lambda value: {"read": {"config": {"path": value["at"]}}}, config_schema={"at": str}))
def mapped():
    read()
    free()


@graph
def numbered(first, second):
    show.alias("one")(first)
    show.alias("two")(second)


@job(resource_defs={"db": db, "cache": cache})
def everything(first, second):
    read()
    inner()
    mapped()
    free()
    store()
    look_up()
    numbered(second=second)
    show.alias("one")(first)
    show.alias("two")(second)


def mistakes(job_def, config: Any, *step_keys: str) -> list[str]:
    """What is wrong with run config for some steps; the same by the job's code and by its stored snapshot."""
    snapshot = decode_job(encode(job_snapshot(job_def)))
    found = check_config(snapshot.run_config_type(step_keys), config).mistakes
    if found:
        with pytest.raises(InvalidConfigError) as caught:
            job_def.resolve_run_config(config, step_keys)
        assert list(caught.value.mistakes) == found
    else:
        job_def.resolve_run_config(config, step_keys)
    return found


def path_of(sentences: list[str]) -> list[str]:
    return [sentence.partition(":")[0] for sentence in sentences]


def test_nothing_is_required_for_steps_that_do_not_run():
    assert len(mistakes(everything, {}, *everything.wiring.ops)) == 8
    assert mistakes(everything, {}, "free") == []
    assert mistakes(everything, {}) == []


def test_what_the_chosen_steps_need_is_required():
    for step_keys, paths in (
        (["read"], ["ops.read.config.path"]),
        (["free", "inner.greet"], ["ops.inner.ops.greet.config.word"]),
        (["mapped.free"], ["ops.mapped.config.at"]),
        (["store"], ["resources.db.config.url"]),
        (["look_up"], ["resources.db.config.url"]),
        (["one"], ["inputs.first"]),
        (["two"], ["inputs.second"]),
        (["numbered.one"], ["ops.numbered.inputs.first"]),
        (["numbered.two"], ["inputs.second"]),
    ):
        assert path_of(mistakes(everything, {}, *step_keys)) == paths, step_keys


def test_config_for_other_steps_is_taken_and_checked():
    given = {
        "ops": {
            "read": {"config": {"path": "x"}},
            "inner": {"ops": {"greet": {"config": {"word": "hi"}}, "read": {"config": {"path": "y"}}}},
            "mapped": {"config": {"at": "z"}},
        },
        "resources": {"db": {"config": {"url": "u"}}},
        "inputs": {"first": 1},
    }
    assert mistakes(everything, given, "free") == []
    resolved = everything.resolve_run_config(given, ["inner.greet"])
    assert resolved.ops == {"inner.greet": {"word": "hi"}}
    wrong = {"ops": {"read": {"config": {"path": 5}}, "reed": {}}, "resources": {"db": {"config": {"url": 5}}}}
    assert path_of(mistakes(everything, wrong, "free")) == [
        "ops.read.config.path",
        "ops.reed",
        "resources.db.config.url",
    ]


def test_what_a_graphs_mapping_makes_is_required_of_the_chosen_steps_alone():
    calls = []

    @config_mapping(config_schema={"at": str})
    def half(value):
        calls.append(value)
        return {"read": {"config": {"path": value["at"]}}}

    @graph(config=half)
    def halved():
        read()
        greet()

    @job
    def made():
        halved()
        free()

    given = {"ops": {"halved": {"config": {"at": "x"}}}}
    assert made.resolve_run_config(given, ["halved.read"]).ops == {"halved.read": {"path": "x"}}
    with pytest.raises(InvalidConfigError, match="mapping of halved.*greet.config.word: missing"):
        made.resolve_run_config(given, ["halved.greet"])
    calls.clear()
    assert made.resolve_run_config(given, ["free"]).ops == {}
    assert calls == []


def test_what_a_jobs_mapping_takes_is_required_of_every_run():
    def from_place(value):
        return {"ops": {"read": {"config": {"path": value["at"]}}}}

    @job(config=ConfigMapping(from_place, config_schema={"at": str}))
    def made():
        read()
        greet()

    assert made.resolve_run_config({"at": "x"}, ["read"]).ops == {"read": {"path": "x"}}
    with pytest.raises(InvalidConfigError, match="greet.config.word: missing"):
        made.resolve_run_config({"at": "x"}, ["greet"])
    snapshot = job_snapshot(made)
    assert snapshot.has_config_mapping
    assert snapshot.run_config_type(["read"]) == snapshot.config_type


def test_a_graph_with_a_mapping_as_a_job_asks_for_its_config():
    made = mapped.to_job()
    assert path_of(mistakes(made, {}, "free")) == ["ops.config.at"]
    assert made.resolve_run_config({"ops": {"config": {"at": "x"}}}, ["free"]).ops == {}


def test_resources_in_fields_of_resources_count():
    address = Address.configure_at_launch()

    @op
    def call(client: Client): ...

    @job(resource_defs={"client": Client(address=address), "address": address, "db": db})
    def made():
        call()
        free()
        store()

    assert job_snapshot(made).resource_needs == {"client": ("address",)}
    assert mistakes(made, {}, "free") == []
    assert path_of(mistakes(made, {}, "call")) == ["resources.address.config.url"]


def test_assets_are_asked_alike():
    @asset
    def first(config: Reading): ...

    @asset(deps=[first])
    def second(): ...

    made = Definitions(assets=[first, second]).get_job_def("__ASSET_JOB")
    assert mistakes(made, {}, "second") == []
    assert path_of(mistakes(made, {}, "first")) == ["ops.first.config.path"]


def test_steps_that_the_code_has_no_more_are_passed_over():
    assert everything.resolve_run_config({}, ["free", "gone"]).ops == {}


def test_needs_are_followed_to_their_end():
    assert closed_over({"a": ("b",), "b": ("a", "c"), "d": ("e",)}, ["a"]) == {"a", "b", "c"}
    assert ChosenSteps(["a.b.c", "d"], ["a.b.c"]).paths == {"a", "a.b", "a.b.c"}
