"""ConfigurableResource: plain objects in tests, own copies with a life cycle in runs, nested, configured at launch."""

import contextlib
import dataclasses
import enum
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import Field as PydanticField
from pydantic import PrivateAttr, SecretStr, ValidationError, field_validator

from orchord.definitions.config import Config, EnvVar, check_config
from orchord.definitions.resources import (
    ConfigurableResource,
    ConfigurableResourceFactory,
    InitResourceContext,
    ResourceDependency,
    as_resource_definition,
    build_init_resource_context,
    build_resources,
    resource,
)
from orchord.errors import InvalidConfigError, InvalidInvocationError, ResourceInitError

LOG: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


class Credentials(ConfigurableResource):
    token: str
    port: int = 1

    def setup_for_execution(self, context: InitResourceContext) -> None:
        LOG.append("credentials up")

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        LOG.append("credentials down")


class Database(ConfigurableResource):
    url: str
    credentials: Credentials
    _connection: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: InitResourceContext) -> None:
        LOG.append("database up")
        self._connection = f"{self.url}?{self.credentials.token}"

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        LOG.append("database down")
        self._connection = None

    def query(self) -> str | None:
        return self._connection


def test_a_resource_is_a_plain_object_in_a_test() -> None:
    database = Database(url="u", credentials=Credentials(token="t"))
    assert database.url == "u"
    assert database.credentials.port == 1
    assert database.query() is None
    with pytest.raises(ValidationError, match="frozen"):
        database.url = "other"  # type: ignore[misc]


def test_pydantic_checks_the_fields_without_showing_values() -> None:
    with pytest.raises(ValidationError) as caught:
        Credentials(token=5, port="hunter2")  # type: ignore[arg-type]
    assert "token" in str(caught.value)
    assert "port" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Credentials(token="t", prot=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="credentials"):
        Database(url="u", credentials="no resource")  # type: ignore[arg-type]


def test_a_run_has_its_own_copy_set_up_in_order_and_torn_down_in_reverse() -> None:
    database = Database(url="u", credentials=Credentials(token="t"))
    with build_resources({"db": database}) as resources:
        assert resources.db is not database
        assert resources.db.query() == "u?t"
        assert LOG == ["credentials up", "database up"]
    assert LOG == ["credentials up", "database up", "database down", "credentials down"]
    assert database.query() is None


def test_one_object_under_a_key_and_in_a_field_is_set_up_once() -> None:
    credentials = Credentials(token="t")
    one, two = Database(url="1", credentials=credentials), Database(url="2", credentials=credentials)
    with build_resources({"one": one, "two": two, "credentials": credentials}) as resources:
        assert resources.one.credentials is resources.credentials
        assert resources.two.credentials is resources.credentials
    assert LOG.count("credentials up") == 1
    with build_resources({"one": one, "two": two}) as resources:
        assert resources.one.credentials is resources.two.credentials


def test_two_runs_do_not_see_each_others_private_state() -> None:
    class Counter(ConfigurableResource):
        _seen: list[int] = PrivateAttr(default_factory=list)

    counter = Counter()
    with build_resources({"c": counter}) as first:
        first.c._seen.append(1)
        with build_resources({"c": counter}) as second:
            assert second.c._seen == []
    assert counter._seen == []


def test_run_config_overrides_the_values_given_in_code() -> None:
    credentials = Credentials(token="t", port=2)
    config = {"credentials": {"config": {"port": 3}}}
    with build_resources({"credentials": credentials}, resource_config=config) as resources:
        assert (resources.credentials.token, resources.credentials.port) == ("t", 3)


def test_fields_left_to_launch_come_from_run_config() -> None:
    credentials = Credentials.configure_at_launch(port=7)
    database = Database(url="u", credentials=credentials)  # type: ignore[arg-type]
    config = {"credentials": {"config": {"token": "launched"}}}
    with build_resources({"db": database, "credentials": credentials}, resource_config=config) as resources:
        assert resources.db.query() == "u?launched"
        assert resources.credentials.port == 7
    with pytest.raises(InvalidConfigError, match="resources.credentials.config.token: missing, expected String"):
        with build_resources({"credentials": credentials}):
            pass
    with pytest.raises(InvalidConfigError, match="it needs a key of its own.*: resources.db.credentials.token"):
        with build_resources({"db": database}):
            pass


def test_environment_variables_are_read_at_launch_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.setenv("PORT", "99")
    credentials = Credentials(token=EnvVar("TOKEN"), port=EnvVar.int("PORT"))
    definition = as_resource_definition(credentials)
    assert "hunter2" not in repr(definition.config_type)
    resolved = check_config(definition.config_type, {})  # type: ignore[arg-type]
    assert resolved.value == {"token": {"env": "TOKEN"}, "port": {"env": "PORT"}}
    with build_resources({"db": Database(url="u", credentials=credentials)}) as resources:
        assert resources.db.query() == "u?hunter2"
        assert resources.db.credentials.port == 99
        assert (
            repr(resources.db)
            == "Database(url='u', credentials=Credentials(token=EnvVar('TOKEN'), port=EnvVar.int('PORT')))"
        )
        assert "hunter2" not in repr(resources)
    outer = as_resource_definition(Database(url=EnvVar("URL"), credentials=credentials))
    assert outer.env_var_names == {"URL", "TOKEN", "PORT"}


def test_a_variable_may_stand_for_an_enum(monkeypatch: pytest.MonkeyPatch) -> None:
    class Level(enum.Enum):
        LOW = "low"
        HIGH = "high"

    class Leveled(ConfigurableResource):
        level: Level

    leveled = Leveled(level=EnvVar("LEVEL"))  # type: ignore[arg-type]
    for value in ("high", "HIGH"):
        monkeypatch.setenv("LEVEL", value)
        with build_resources({"leveled": leveled}) as resources:
            assert resources.leveled.level is Level.HIGH
    monkeypatch.setenv("LEVEL", "hunter2")
    with pytest.raises(InvalidConfigError, match="resources.leveled.config.level: Input should be 'low' or 'high'"):
        with build_resources({"leveled": leveled}):
            pass


def test_a_missing_variable_is_a_mistake_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    credentials = Credentials(token=EnvVar("TOKEN"))
    with pytest.raises(InvalidConfigError, match="resources.c.config.token: environment variable 'TOKEN' is not set"):
        with build_resources({"c": credentials}):
            pass
    with pytest.raises(InvalidConfigError, match="resources.db.credentials.token: environment variable 'TOKEN' is"):
        with build_resources({"db": Database(url="u", credentials=credentials)}):
            pass


def test_constraints_hold_for_variables_and_for_config() -> None:
    class Limited(ConfigurableResource):
        size: int = PydanticField(ge=1)

    definition = as_resource_definition(Limited.configure_at_launch())
    assert check_config(definition.config_type, {"size": 0}, "r").mistakes == [  # type: ignore[arg-type]
        "r.size: found 0 (Int), expected Int >= 1."
    ]
    with pytest.raises(ValidationError):
        Limited(size=0)


def test_a_validator_of_the_class_reports_with_the_resources_path() -> None:
    class Even(ConfigurableResource):
        size: int

        @field_validator("size")
        @classmethod
        def is_even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even")
            return value * 10

    with pytest.raises(InvalidConfigError) as caught:
        with build_resources({"even": Even.configure_at_launch()}, resource_config={"even": {"config": {"size": 3}}}):
            pass
    assert caught.value.mistakes == ("resources.even.config.size: found 3 (Int). Value error, must be even.",)
    with build_resources({"even": Even(size=2)}) as resources:
        assert resources.even.size == 20


def test_a_with_block_may_replace_the_two_methods() -> None:
    class Held(ConfigurableResource):
        fails: bool = False

        @contextlib.contextmanager
        def yield_for_execution(self, context: InitResourceContext) -> Iterator[Any]:
            LOG.append("in")
            try:
                yield self
            finally:
                LOG.append("out")

    with build_resources({"held": Held()}) as resources:
        assert isinstance(resources.held, Held)
    assert LOG == ["in", "out"]


def test_a_generator_without_the_decorator_works_too() -> None:
    class Held(ConfigurableResource):
        def yield_for_execution(self, context: InitResourceContext) -> Iterator[Any]:  # type: ignore[override]
            LOG.append("in")
            yield "value"
            LOG.append("out")

    with build_resources({"held": Held()}) as resources:
        assert resources.held == "value"
    assert LOG == ["in", "out"]


def test_a_factory_provides_another_object_also_to_resources_that_hold_it() -> None:
    @dataclasses.dataclass
    class Client:
        url: str

    class ClientFactory(ConfigurableResourceFactory[Client]):
        url: str

        def create_resource(self, context: InitResourceContext) -> Client:
            return Client(self.url)

    class Service(ConfigurableResource):
        client: ResourceDependency[Client]
        plain: ResourceDependency[str]

    @resource(config_schema={"name": str})
    def named(context: InitResourceContext) -> str:
        return f"name {context.resource_config['name']}"

    service = Service(client=ClientFactory(url="u"), plain=named.configured({"name": "x"}))
    with build_resources({"service": service, "client": ClientFactory(url="v")}) as resources:
        assert resources.client == Client("v")
        assert resources.service.client == Client("u")
        assert resources.service.plain == "name x"
    direct = Service(client=Client("d"), plain="p")
    assert direct.client == Client("d")
    with build_resources({"service": direct}) as resources:
        assert (resources.service.client, resources.service.plain) == (Client("d"), "p")


def test_fields_that_hold_resources_are_no_config() -> None:
    definition = as_resource_definition(Database(url="u", credentials=Credentials(token="t")))
    assert list(definition.config_type.fields) == ["url"]  # type: ignore[union-attr]
    assert list(Database.to_config_type().fields) == ["url"]


def test_the_context_of_the_run_is_at_hand_in_a_run_and_nowhere_else() -> None:
    class Aware(ConfigurableResource):
        def run_id(self) -> Any:
            return self.get_resource_context().run_id

    with pytest.raises(InvalidInvocationError, match="Aware.get_resource_context\\(\\) was called outside of a run"):
        Aware().run_id()
    with build_resources({"aware": Aware()}) as resources:
        assert resources.aware.run_id() is None
    with build_init_resource_context() as context:
        assert Aware().with_resource_context(context).run_id() is None


def test_a_resource_is_set_up_outside_of_a_run_with_its_variables_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")

    class Simple(ConfigurableResource):
        token: str

    assert Simple(token=EnvVar("TOKEN")).process_config_and_initialize().token == "t"
    with Credentials(token=EnvVar("TOKEN")).process_config_and_initialize_cm() as value:
        assert value.token == "t"
    assert LOG == ["credentials up", "credentials down"]
    with pytest.raises(InvalidInvocationError, match="would leave it open"):
        Credentials(token="t").process_config_and_initialize()


def test_a_class_with_its_own_constructor_keeps_what_it_set_there() -> None:
    class Custom(ConfigurableResource):
        path: str
        _parts: list[str] = PrivateAttr(default_factory=list)

        def __init__(self, *parts: str) -> None:
            super().__init__(path="/".join(parts))
            self._parts = list(parts)

    custom = Custom("a", "b")
    config = {"c": {"config": {"path": "x"}}}
    with build_resources({"c": custom}) as resources:
        assert (resources.c.path, resources.c._parts) == ("a/b", ["a", "b"])
    with build_resources({"c": custom}, resource_config=config) as resources:
        assert (resources.c.path, resources.c._parts) == ("x", ["a", "b"])


def test_nested_config_classes_aliases_and_secrets_work_in_resources() -> None:
    class Options(Config):
        retries: int = 3

    class Api(ConfigurableResource):
        schema_name: str = PydanticField(alias="schema")
        options: Options = Options()
        key: SecretStr = SecretStr("hunter2")

    definition = as_resource_definition(Api(schema="s"))  # type: ignore[call-arg]
    assert check_config(definition.config_type, {}).value == {  # type: ignore[arg-type]
        "schema": "s",
        "options": {"retries": 3},
    }
    config = {"api": {"config": {"schema": "t", "options": {"retries": 5}}}}
    with build_resources({"api": definition}, resource_config=config) as resources:
        assert resources.api.schema_name == "t"
        assert resources.api.options == Options(retries=5)
        assert resources.api.key.get_secret_value() == "hunter2"


def test_a_copy_with_other_values_is_another_resource() -> None:
    first = Credentials(token="a")
    first.get_resource_definition()
    second = first.model_copy(update={"token": "b"})
    with build_resources({"first": first, "second": second}) as resources:
        assert (resources.first.token, resources.second.token) == ("a", "b")
    assert first != second
    assert first == Credentials(token="a")
    assert hash(first) == hash(Credentials(token="a"))


def test_a_failing_set_up_names_the_resource_and_tears_down_the_others() -> None:
    class Broken(ConfigurableResource):
        credentials: Credentials

        def setup_for_execution(self, context: InitResourceContext) -> None:
            raise ConnectionError("no route")

    with pytest.raises(
        ResourceInitError, match="Resource 'broken' could not be set up: ConnectionError: no route"
    ) as caught:
        with build_resources({"broken": Broken(credentials=Credentials(token="t"))}):
            pass
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert LOG == ["credentials up", "credentials down"]


def test_a_class_instead_of_an_instance_is_refused_with_the_fix() -> None:
    with pytest.raises(
        InvalidInvocationError, match="Give an instance, as in Credentials\\(...\\), or Credentials.conf"
    ):
        as_resource_definition(Credentials)
