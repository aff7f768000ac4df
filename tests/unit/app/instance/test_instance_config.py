"""The instance file: every form that is understood, every mistake listed at once, the mission's own file unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchord.errors import InstanceConfigError
from orchord.instance import InstanceConfig
from orchord.instance.sections import CelerySettings

HOME = Path("/srv/orchord")

MISSION_FILE = (Path(__file__).parents[3] / "mission" / "instance_file.yaml").read_text()


def parsed(text="", home=HOME):
    return InstanceConfig.parse(yaml.safe_load(text) or {}, home)


def mistakes_of(text):
    with pytest.raises(InstanceConfigError) as caught:
        parsed(text)
    return caught.value.mistakes


class TestDefaults:
    def test_without_a_file_everything_lies_in_the_home(self, tmp_path):
        config = InstanceConfig.read(tmp_path)
        assert config.storage_url == f"sqlite:///{tmp_path}/orchord.db"
        assert config.artifact_folder == tmp_path
        assert config.celery == CelerySettings(broker="redis://127.0.0.1:6379/0")
        assert config.celery.result_backend == "redis://127.0.0.1:6379/0"
        assert config.run_launcher.target == "orchord_workers.launcher:CeleryRunLauncher"
        assert config.run_coordinator.class_name == "DefaultRunCoordinator"
        assert config.compute_logs.class_name == "LocalComputeLogManager"
        assert config.without_effect == ()

    def test_an_empty_file_is_no_mistake(self, tmp_path):
        (tmp_path / "orchord.yaml").write_text("# nothing\n")
        assert InstanceConfig.read(tmp_path).file == tmp_path / "orchord.yaml"

    def test_a_section_with_nothing_in_it_is_as_good_as_none(self):
        sections = ("storage", "run_launcher", "run_coordinator", "compute_logs", "scheduler", "concurrency", "celery")
        text = "".join(f"{section}:\n" for section in sections)
        assert parsed(text) == parsed("")

    def test_dagsters_file_is_read_when_there_is_none_of_ours(self, tmp_path):
        (tmp_path / "dagster.yaml").write_text("celery: {broker: 'redis://x/1'}")
        assert InstanceConfig.read(tmp_path).celery.broker == "redis://x/1"
        (tmp_path / "orchord.yaml").write_text("celery: {broker: 'redis://y/1'}")
        assert InstanceConfig.read(tmp_path).celery.broker == "redis://y/1"


class TestTheMissionsFile:
    def test_it_loads_unchanged(self, monkeypatch):
        monkeypatch.setenv("DAGSTER_PG_PASSWORD", "p@ss/word")
        config = parsed(MISSION_FILE)
        assert config.storage_url == "postgresql://postgres:p%40ss%2Fword@postgresql.postgresql:5432/dagster"
        assert config.run_launcher.target == "orchord_workers.launchers.kubernetes:K8sRunLauncher"
        assert config.run_launcher.config["job_namespace"] == "dagster"
        assert config.compute_logs.target == "orchord.compute_logs.s3:S3ComputeLogManager"
        assert config.compute_logs.config["endpoint"] == "http://minio.minio:9000"

    def test_its_coordinator_is_ours_with_its_config(self, monkeypatch):
        monkeypatch.setenv("DAGSTER_PG_PASSWORD", "x")
        spec = parsed(MISSION_FILE).run_coordinator
        assert spec.target == "orchord.instance.coordinators:QueuedRunCoordinator"
        assert spec.config == {"max_concurrent_runs": -1, "dequeue_use_threads": True, "dequeue_num_workers": 4}

    def test_what_has_no_effect_is_told(self, monkeypatch):
        monkeypatch.setenv("DAGSTER_PG_PASSWORD", "x")
        told = {line.partition(":")[0] for line in parsed(MISSION_FILE).without_effect}
        assert told == {
            "run_monitoring.free_slots_after_run_end_seconds",
            "run_monitoring.max_resume_run_attempts",
            "run_monitoring.poll_interval_seconds",
            "schedules.use_threads",
            "sensors.use_threads",
            "telemetry",
        }

    def test_a_missing_variable_is_named_with_each_of_its_places(self):
        found = mistakes_of(MISSION_FILE)
        assert len([text for text in found if "the environment variable DAGSTER_PG_PASSWORD is not set." in text]) == 3
        assert found[0].startswith("schedule_storage.config.postgres_db.password:")


class TestStorage:
    @pytest.mark.parametrize(
        ("text", "url"),
        [
            ("storage: postgresql://me@db/runs", "postgresql://me@db/runs"),
            ("storage: {url: 'postgresql://me@db/runs'}", "postgresql://me@db/runs"),
            ("storage: {postgres: {postgres_url: 'postgresql://me@db/runs'}}", "postgresql://me@db/runs"),
            (
                "storage: {postgres: {postgres_db: {username: me, hostname: '::1', db_name: r, params: {a: b}}}}",
                "postgresql://me@[::1]:5432/r?a=b",
            ),
            ("storage: {sqlite: {base_dir: data}}", "sqlite:////srv/orchord/data/orchord.db"),
            ("storage: {sqlite: {base_dir: /var/x}}", "sqlite:////var/x/orchord.db"),
            ("storage: {sqlite: }", "sqlite:////srv/orchord/orchord.db"),
            (
                "storage: {module: x, class: DagsterPostgresStorage, config: {postgres_url: 'postgresql://me@db/runs'}}",
                "postgresql://me@db/runs",
            ),
            (
                "storage: {custom: {module: x, class: PostgresRunStorage, config: {postgres_url: 'postgresql://d/r'}}}",
                "postgresql://d/r",
            ),
            (
                "run_storage: {module: dagster.core.storage.runs, class: SqliteRunStorage, config: {base_dir: /var/x}}",
                "sqlite:////var/x/orchord.db",
            ),
        ],
    )
    def test_each_form(self, text, url):
        assert parsed(text).storage_url == url

    def test_the_pool_can_be_sized(self):
        text = "storage: {postgres: {postgres_url: 'postgresql://db/x', pool_size: 3, max_overflow: 0}}"
        assert parsed(text).storage_pool == {"pool_size": 3, "max_overflow": 0}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("storage: 5", "storage: found 5, expected a database URL"),
            ("storage: {mysql: {}}", "Orchord does not speak to MySQL"),
            ("storage: {postgre: {}}", "storage: unknown key 'postgre'. Did you mean 'postgres'?"),
            ("storage: {sqlite: {}, url: 'sqlite:////x'}", "sqlite and url are both given. Keep one."),
            ("storage: 'mysql://db/x'", "found 'mysql'. Use postgresql://"),
            ("storage: {postgres: {}}", "give one of postgres_db and postgres_url"),
            ("storage: {postgres: {postgres_db: {hostname: h}}}", "storage.postgres.postgres_db.username: missing."),
            ("storage: {sqlite: {dir: x}}", "storage.sqlite: unknown key 'dir'. Known: base_dir."),
            ("storage: {url: 'sqlite:////x', pool_size: 0}", "storage.pool_size: found 0, expected a whole number."),
            ("storage: {module: dagster_mysql, class: MySQLStorage}", "no storage class 'MySQLStorage' is known"),
            ("storage: 'sqlite:////x'\nrun_storage: {}", "storage and run_storage are both given. Keep storage alone."),
        ],
    )
    def test_each_mistake(self, text, words):
        assert words in "\n".join(mistakes_of(text))

    def test_older_sections_that_differ_are_kept_in_the_first_and_that_is_told(self):
        text = """
            event_log_storage: {module: x, class: PostgresEventLogStorage, config: {postgres_url: 'postgresql://b/x'}}
            run_storage: {module: x, class: PostgresRunStorage, config: {postgres_url: 'postgresql://a/x'}}
        """
        config = parsed(text)
        assert config.storage_url == "postgresql://a/x"
        (told,) = config.without_effect
        assert told.startswith("event_log_storage: everything is kept in the database of run_storage, since a run,")

    def test_what_postgres_sections_say_without_effect_is_told(self):
        text = """
            storage: {postgres: {should_autocreate_tables: false, postgres_db:
                {username: me, hostname: h, db_name: r, scheme: postgresql+psycopg2}}}
        """
        told = [line.partition(":")[0] for line in parsed(text).without_effect]
        assert told == ["storage.postgres.should_autocreate_tables", "storage.postgres.postgres_db.scheme"]


class TestCelery:
    def test_all_keys(self, monkeypatch):
        monkeypatch.setenv("WIDTH", "8")
        text = """
            celery:
              broker: amqp://guest@rabbit//
              result_backend: redis://r/1
              worker_concurrency: {env: WIDTH}
              visibility_timeout_seconds: 7200
        """
        assert parsed(text).celery == CelerySettings(
            broker="amqp://guest@rabbit//",
            result_backend="redis://r/1",
            worker_concurrency=8,
            visibility_timeout_seconds=7200,
        )

    def test_the_broker_is_the_result_backend_when_it_can_be(self):
        assert parsed("celery: {broker: 'redis://x/1'}").celery.result_backend == "redis://x/1"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("celery: 5", "celery: found 5, expected a mapping."),
            ("celery: {brokr: 'redis://x'}", "celery: unknown key 'brokr'. Did you mean 'broker'?"),
            ("celery: {broker: x}", "celery.broker: expected a URL such as redis://127.0.0.1:6379/0."),
            ("celery: {broker: 'amqp://x'}", "celery.result_backend: missing. With this broker, give a Redis"),
            ("celery: {worker_concurrency: 0}", "celery.worker_concurrency: found 0, expected a whole number above 0."),
            ("celery: {queues: gpu}", "celery.queues: found 'gpu', expected a list of text."),
            ("celery: {queues: [gpu, 'a b']}", "celery.queues[1]: found 'a b', expected up to 100 letters, digits"),
            ("celery: {max_priority: 300}", "celery.max_priority: found 300, expected a whole number from 0 to 255."),
            ("celery: {worker_concurrency: true}", "celery.worker_concurrency: found True"),
        ],
    )
    def test_each_mistake(self, text, words):
        assert words in "\n".join(mistakes_of(text))


class TestPlugins:
    def test_a_class_of_ones_own(self):
        text = "run_launcher: {module: my.module, class: MyLauncher, config: {a: 1}}"
        spec = parsed(text).run_launcher
        assert (spec.target, spec.config) == ("my.module:MyLauncher", {"a": 1})
        assert "1" not in repr(spec)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("run_launcher: 5", "run_launcher: found 5, expected a mapping with module, class and config."),
            ("run_launcher: {module: x}", "run_launcher: module and class must both be given as text."),
            ("run_launcher: {module: x, class: Y, conf: 1}", "unknown key 'conf'. Did you mean 'config'?"),
            ("run_launcher: {module: x, class: Y, config: 1}", "run_launcher.config: found 1, expected a mapping."),
            (
                "run_launcher: {module: dagster_k8s, class: K8RunLauncher}",
                "no class 'K8RunLauncher' of module 'dagster_k8s' is known. Did you mean 'K8sRunLauncher'?",
            ),
            ("scheduler: {module: dagster, class: Wrong}", "scheduler: no class 'Wrong' of module 'dagster' is known."),
        ],
    )
    def test_each_mistake(self, text, words):
        assert words in "\n".join(mistakes_of(text))


class TestFiles:
    def test_a_label_called_env_is_no_reference_to_a_variable(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TEAM", "numbers")
        pod = {"pod_spec_config": {"nodeSelector": {"env": "prod"}}}
        config = {"labels": {"env": "prod", "team": {"env": "TEAM"}}, "run_k8s_config": pod}
        section = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}
        read = InstanceConfig.parse({"run_launcher": section}, tmp_path).run_launcher.config
        assert read == {"labels": {"env": "prod", "team": "numbers"}, "run_k8s_config": pod}

    def test_all_mistakes_are_listed_at_once(self):
        found = mistakes_of("storag: 1\ncelery: {brokr: 1}\nrun_launcher: 5\nlocal_artifact_storage: 7")
        assert len(found) == 4
        assert found[0] == "unknown section 'storag'. Did you mean 'storage'?"

    def test_what_is_no_mapping(self):
        with pytest.raises(InstanceConfigError, match="found list, expected a mapping of sections"):
            InstanceConfig.parse([], HOME)

    def test_what_is_no_yaml(self, tmp_path):
        (tmp_path / "orchord.yaml").write_text("a: [")
        with pytest.raises(InstanceConfigError, match="orchord.yaml cannot be read: no YAML"):
            InstanceConfig.read(tmp_path)

    def test_what_is_no_text(self, tmp_path):
        (tmp_path / "orchord.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InstanceConfigError, match="cannot be read"):
            InstanceConfig.read(tmp_path)

    def test_where_values_are_stored(self):
        assert parsed("local_artifact_storage: {base_dir: /data}").artifact_folder == Path("/data")
        text = "local_artifact_storage: {module: dagster, class: LocalArtifactStorage, config: {base_dir: /d}}"
        assert parsed(text).artifact_folder == Path("/d")
        assert "local_artifact_storage: unknown key 'x'. Known: base_dir." in mistakes_of(
            "local_artifact_storage: {base_dir: /d, x: 1}"
        )

    def test_no_password_is_shown(self, monkeypatch):
        monkeypatch.setenv("DAGSTER_PG_PASSWORD", "secret-word")
        assert "secret-word" not in repr(parsed(MISSION_FILE))
        assert "root123" not in repr(parsed(MISSION_FILE).compute_logs)
