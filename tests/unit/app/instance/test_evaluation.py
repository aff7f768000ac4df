"""Evaluating ticks without processes: what their ends say, and that everything is one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import orchord as dg
from orchord.errors import InvariantViolationError, StorageUnavailableError
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.instance.evaluation import Evaluation, TickTimeLimitExceeded, evaluate
from orchord.instance.launch import prepare
from orchord.location import CodeLocation, LocationTarget
from orchord.snapshot import snapshot_of
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus


@dg.op
def nothing() -> None: ...


@dg.job
def idle() -> None:
    nothing()


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


def code_of(*sensors: Any, schedules: Any = (), resources: Any = None) -> CodeLocation:
    definitions = dg.Definitions(jobs=[idle], sensors=list(sensors), schedules=list(schedules), resources=resources)
    repository = definitions.resolve()
    return CodeLocation("home", repository, snapshot_of(repository, "home"), LocationTarget(module="none"))


def claimed(instance: OrchordInstance, name: str, key: str = "due:1", **fields: Any) -> Tick:
    kind = fields.pop("kind", InstigatorKind.SENSOR)
    (tick,) = instance.storage.ticks.make([NewTick(InstigatorKey("home", kind, name), key, utc_now(), 30.0, **fields)])
    started = instance.storage.ticks.claim(tick.tick_id, f"token {tick.tick_id}", "worker", utc_now())
    assert started is not None
    return started


@pytest.fixture
def tried(instance: OrchordInstance) -> Callable[..., Evaluation]:
    """Evaluates one sensor's tick, and writes its end."""

    def act(sensor: dg.SensorDefinition, key: str = "due:1", resources: Any = None, **fields: Any) -> Evaluation:
        code = code_of(sensor, resources=resources)
        instance.storage.locations.put(code.snapshot)
        done = evaluate(instance, code, claimed(instance, sensor.name, key, **fields))
        assert instance.storage.ticks.finish(done.end).accepted
        return done

    return act


def test_resources_are_set_up_for_a_tick_and_secrets_stay_out_of_its_error_and_log(tried, monkeypatch):
    monkeypatch.setenv("PASSWORD", "very-secret")
    closed = []

    class Door(dg.ConfigurableResource):
        password: str

        def teardown_after_execution(self, context: Any) -> None:
            closed.append(True)

    @dg.sensor(job=idle)
    def watching(context, door: Door):
        context.log.info("opening with %s", door.password)
        raise ValueError(f"no entry by {door.password}")

    done = tried(watching, resources={"door": Door(password=dg.EnvVar("PASSWORD"))})
    assert closed == [True]
    assert done.end.error.message == "no entry by ******"
    assert [record["message"] for record in done.end.data["log"]] == ["opening with ******"]


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_a_function_that_wants_to_end_the_process_fails_its_tick(tried, leaving):
    @dg.sensor(job=idle)
    def rude(context):
        raise leaving("enough")

    done = tried(rude)
    assert (done.end.status, done.end.error.cls_name) == (TickStatus.FAILURE, leaving.__name__)


def test_the_log_of_a_tick_is_bounded_and_goes_to_the_process_log_too(tried, caplog):
    @dg.sensor(job=idle)
    def chatty(context):
        for number in range(600):
            context.log.warning("number %s", number)

    with caplog.at_level(logging.WARNING, "orchord.ticks"):
        done = tried(chatty)
    assert len(done.end.data["log"]) == 500
    assert done.end.data["log"][0].keys() == {"level", "message", "timestamp"}
    assert done.end.status is TickStatus.SKIPPED
    assert len(caplog.records) == 600


def test_a_cursor_that_is_left_alone_is_not_written(instance, tried):
    @dg.sensor(job=idle)
    def lazy(context):
        instance.storage.instigators.set_cursor(InstigatorKey("home", InstigatorKind.SENSOR, "lazy"), "by hand")
        return dg.SkipReason("nothing")

    done = tried(lazy)
    assert (done.end.keeps_cursor, done.end.skip_reason) == (True, "nothing")
    assert instance.storage.instigators.state(InstigatorKey("home", InstigatorKind.SENSOR, "lazy")).cursor == "by hand"


def test_a_context_knows_what_the_ticks_before_left(instance, tried):
    seen = []

    @dg.sensor(job=idle)
    def aware(context):
        seen.append((context.cursor, context.last_run_key, context.is_first_tick_since_sensor_start))
        assert context.repository_name == "home"
        return dg.SensorResult([dg.RunRequest(run_key=f"key {len(seen)}")], cursor=f"cursor {len(seen)}")

    tried(aware)
    tried(aware, "due:2")
    assert seen == [(None, None, True), ("cursor 1", "key 1", False)]


def test_a_tick_that_runs_into_its_limit_says_so(instance):
    class Late:
        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None:
            raise TickTimeLimitExceeded("too late")

    @dg.sensor(job=idle)
    def slow(context): ...

    done = evaluate(instance, code_of(slow), claimed(instance, "slow"), limit=Late())
    assert (done.end.status, done.end.error.cls_name, done.end.error.message) == (
        TickStatus.FAILURE,
        "TickTimeLimitExceeded",
        "too late",
    )


def test_a_database_that_is_away_leaves_the_tick_as_it_is(instance, monkeypatch):
    @dg.sensor(job=idle)
    def slow(context): ...

    def away(*args: Any) -> None:
        raise StorageUnavailableError("away")

    tick = claimed(instance, "slow")
    monkeypatch.setattr(instance.storage.instigators, "state", away)
    with pytest.raises(StorageUnavailableError):
        evaluate(instance, code_of(slow), tick)
    assert instance.storage.ticks.find(tick.tick_id).status is TickStatus.STARTED


def test_one_run_key_twice_in_a_tick_is_one_run(instance, tried):
    @dg.sensor(job=idle)
    def double(context):
        return [dg.RunRequest(run_key="a"), dg.RunRequest(run_key="a"), dg.RunRequest()]

    done = tried(double)
    assert done.end.data["requested"] == 3
    assert sorted(run.run_key or "" for run in instance.get_runs()) == ["", "a"]


def test_a_run_key_of_a_schedule_has_one_run_at_each_of_its_times(instance):
    @dg.schedule(cron_schedule="* * * * *", job=idle)
    def shops(context):
        return [dg.RunRequest(run_key="berlin"), dg.RunRequest(run_key="paris"), dg.RunRequest(run_key="paris")]

    code = code_of(schedules=[shops])
    instance.storage.locations.put(code.snapshot)
    for minute in ("due:1", "due:2"):
        done = evaluate(instance, code, claimed(instance, "shops", minute, kind=InstigatorKind.SCHEDULE))
        assert instance.storage.ticks.finish(done.end).accepted
    assert sorted(run.run_key or "" for run in instance.get_runs()) == ["berlin", "berlin", "paris", "paris"]


def test_a_schedule_that_is_unknown_to_the_code_fails_with_the_nearest_name(instance):
    nightly = dg.ScheduleDefinition(job=idle, cron_schedule="0 3 * * *", name="nightly")
    tick = claimed(instance, "nightlly", kind=InstigatorKind.SCHEDULE)
    done = evaluate(instance, code_of(schedules=[nightly]), tick)
    assert done.end.error.message.startswith("Schedule 'nightlly' is not in the code that this worker has loaded")
    assert done.end.error.message.endswith("Did you mean 'nightly'?")


def test_a_job_that_is_nowhere_is_a_mistake_of_the_request(tried):
    @dg.sensor()
    def lost(context):
        return dg.RunRequest(job_name="idel")

    assert "Did you mean 'idle'?" in tried(lost).end.error.message


def test_runs_of_ticks_stay_when_they_cannot_be_handed_over(instance, tried, monkeypatch):
    from orchord.errors import BrokerUnavailableError
    from orchord.instance.launch import hand_over

    @dg.sensor(job=idle)
    def one(context):
        return dg.RunRequest(run_key="a")

    def away(context: Any) -> None:
        raise BrokerUnavailableError("away")

    (prepared,) = tried(one).prepared
    monkeypatch.setattr(instance.run_coordinator, "submit_run", away)
    hand_over(instance, prepared, keeps=True)
    assert not instance.storage.runs.get(prepared.run.run_id).status.is_terminal
    with pytest.raises(BrokerUnavailableError):
        hand_over(instance, prepared)
    assert prepare is not None


def test_a_broker_that_is_away_is_asked_once_for_all_runs_of_ticks(instance, tried, monkeypatch):
    from orchord.errors import BrokerUnavailableError
    from orchord.instance.launch import hand_over_all

    asked = []

    @dg.sensor(job=idle)
    def several(context):
        return [dg.RunRequest(run_key=str(number)) for number in range(4)]

    def away(context: Any) -> None:
        asked.append(context.run.run_key)
        if context.run.run_key == "0":
            raise InvariantViolationError("not this one")
        raise BrokerUnavailableError("away")

    prepared = tried(several).prepared
    monkeypatch.setattr(instance.run_coordinator, "submit_run", away)
    hand_over_all(instance, prepared)
    assert asked == ["0", "1"]
    refused, *others = [instance.storage.runs.get(one.run.run_id) for one in prepared]
    assert refused.error is not None
    assert refused.error.message == "The run could not be handed over: not this one"
    assert not any(run.status.is_terminal for run in others), "they wait for the daemon"
