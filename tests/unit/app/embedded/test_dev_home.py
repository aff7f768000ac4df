"""The home of ``orchord dev``: fresh or given, never shared, and the user's own instance file is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchord.embedded.dev_home import HEADER, dev_home
from orchord.errors import ConflictError, InstanceConfigError

BROKER = "redis://127.0.0.1:1/0"


def test_without_a_folder_a_fresh_one_is_made_and_goes() -> None:
    with dev_home(None) as home:
        assert home.is_temporary
        assert home.folder.is_dir()
    assert not home.folder.exists()


def test_a_given_folder_stays_and_its_written_file_goes(tmp_path: Path) -> None:
    with dev_home(tmp_path / "home") as home:
        assert home.needs_broker
        with home.instance_home(BROKER) as folder:
            assert folder == tmp_path / "home"
            written = yaml.safe_load((folder / "orchord.yaml").read_text())
            assert written == {"celery": {"broker": BROKER, "result_backend": BROKER}}
    assert home.folder.is_dir()
    assert not (home.folder / "orchord.yaml").exists()


def test_the_file_that_a_killed_dev_left_is_not_taken_for_the_users(tmp_path: Path) -> None:
    (tmp_path / "orchord.yaml").write_text(HEADER + "celery: {broker: 'redis://gone'}\n")
    with dev_home(tmp_path) as home:
        assert home.needs_broker
        assert home.given_file is None


def test_a_users_file_that_names_a_broker_is_used_as_it_is(tmp_path: Path) -> None:
    text = "celery: {broker: 'redis://real:6379/0'}\n"
    (tmp_path / "orchord.yaml").write_text(text)
    with dev_home(tmp_path) as home:
        assert not home.needs_broker
        with home.instance_home(None) as folder:
            assert folder == tmp_path
    assert (tmp_path / "orchord.yaml").read_text() == text


def test_a_users_file_without_a_broker_is_completed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    text = "celery: {worker_concurrency: 3}\ntelemetry: {enabled: false}\n"
    (tmp_path / "orchord.yaml").write_text(text)
    with dev_home(tmp_path) as home, home.instance_home(BROKER) as folder:
        assert folder != tmp_path
        written = yaml.safe_load((folder / "orchord.yaml").read_text())
        assert written["celery"] == {"broker": BROKER, "result_backend": BROKER, "worker_concurrency": 3}
        assert written["telemetry"] == {"enabled": False}
        assert str(tmp_path) in str(written["storage"])
    assert (tmp_path / "orchord.yaml").read_text() == text


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with dev_home(tmp_path), pytest.raises(ConflictError, match=r"Another `orchord dev` \(process \d+\) uses .*--home"):
        with dev_home(tmp_path):
            pass


@pytest.mark.parametrize(("text", "mistake"), [("a: [", "not YAML"), ("- 1", "must hold a mapping, found list")])
def test_a_broken_instance_file_is_an_error_that_names_it(tmp_path: Path, text: str, mistake: str) -> None:
    (tmp_path / "orchord.yaml").write_text(text)
    with pytest.raises(InstanceConfigError, match=rf"orchord.yaml cannot be read: .*{mistake}"):
        with dev_home(tmp_path):
            pass
