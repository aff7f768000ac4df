"""Resources and config as ops see them in a run: by parameter, overridden, launched, and with secrets hidden."""

import enum
from typing import Any, Literal

import pytest
from pydantic import Field as PydanticField

import orchord as dg
from orchord.errors import InvalidConfigError

SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    SEEN.clear()


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


class Cat(dg.Config):
    kind: Literal["cat"] = "cat"
    meows: int = 1


class Dog(dg.Config):
    kind: Literal["dog"] = "dog"
    barks: float = 2.0


class Options(dg.Config):
    size: int = PydanticField(default=3, ge=1)
    color: Color = Color.RED
    pet: Cat | Dog = PydanticField(discriminator="kind", default=Cat())


class Inner(dg.ConfigurableResource):
    token: str
    port: int = 5


class Outer(dg.ConfigurableResource):
    inner: Inner
    name: str = "n"


@dg.op
def with_options(config: Options) -> None:
    SEEN.append((config.size, config.color, config.pet))


@dg.job
def options_job() -> None:
    with_options()


@dg.op
def with_outer(context: dg.OpExecutionContext, outer: Outer) -> None:
    SEEN.append((outer.inner.token, outer.inner.port, outer.name))
    context.log.info(f"token is {outer.inner.token}")


@pytest.mark.parametrize(
    ("run_config", "seen"),
    [
        (None, (3, Color.RED, Cat())),
        ({"ops": {"with_options": {"config": {"color": "BLUE", "pet": {"dog": {}}}}}}, (3, Color.BLUE, Dog())),
        (dg.RunConfig(ops={"with_options": Options(size=7, pet=Dog(barks=1))}), (7, Color.RED, Dog(barks=1))),
    ],
)
def test_an_op_gets_its_config_as_its_class(run_config: Any, seen: Any) -> None:
    assert options_job.execute_in_process(run_config=run_config).success
    assert [seen] == SEEN


def test_every_mistake_of_run_config_is_reported_at_once_before_anything_runs() -> None:
    bad = {"ops": {"with_options": {"config": {"size": 0, "colour": "RED", "pet": {"kind": "dog", "barks": "x"}}}}}
    with pytest.raises(InvalidConfigError) as caught:
        options_job.execute_in_process(run_config=bad)
    assert caught.value.mistakes == (
        "ops.with_options.config.size: found 0 (Int), expected Int >= 1.",
        "ops.with_options.config.colour: unknown key. Did you mean 'color'?",
        "ops.with_options.config.pet.dog.barks: found 'x' (String), expected Float.",
    )
    assert SEEN == []


def test_nested_resources_read_variables_and_no_event_shows_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNER_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("INNER_PORT", "81")
    inner = Inner(token=dg.EnvVar("INNER_TOKEN"), port=dg.EnvVar.int("INNER_PORT"))

    @dg.op
    def failing(outer: Outer) -> None:
        raise ValueError(f"refused with {outer.inner.token}")

    @dg.job(resource_defs={"outer": Outer(inner=inner)})
    def job() -> None:
        with_outer()
        failing()

    config = {"resources": {"outer": {"config": {"name": "other"}}}}
    result = job.execute_in_process(run_config=config, raise_on_error=False)
    assert not result.success
    assert SEEN == [("hunter2hunter2", 81, "other")]
    assert "refused with" in repr(result.all_events)
    assert "hunter2" not in repr(result.all_events)


def test_fields_left_to_launch_are_required_of_run_config() -> None:
    @dg.op
    def with_inner(inner: Inner) -> None:
        SEEN.append(inner.token)

    @dg.job(resource_defs={"inner": Inner.configure_at_launch()})
    def job() -> None:
        with_inner()

    assert job.execute_in_process(run_config={"resources": {"inner": {"config": {"token": "t"}}}}).success
    assert SEEN == ["t"]
    with pytest.raises(InvalidConfigError) as caught:
        job.execute_in_process()
    assert caught.value.mistakes == ("resources.inner.config.token: missing, expected String.",)
