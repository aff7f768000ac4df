"""Run config, tags and selections come from files and text, and every mistake is a usage error that names itself."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from orchord.cli.inputs import read_names, read_run_config, read_tags


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_later_files_and_the_text_are_merged_over_earlier_ones(tmp_path: Path) -> None:
    first = _file(tmp_path, "a.yaml", "ops: {load: {config: {path: /a, limit: 1}}}\nresources: {db: {config: {}}}")
    second = _file(tmp_path, "b.yaml", "ops: {load: {config: {path: /b}}}")
    merged = read_run_config([first, second], '{"ops": {"load": {"config": {"limit": [1, 2]}}}}')
    assert merged == {
        "ops": {"load": {"config": {"path": "/b", "limit": [1, 2]}}},
        "resources": {"db": {"config": {}}},
    }


def test_an_empty_file_is_empty_config(tmp_path: Path) -> None:
    assert read_run_config([_file(tmp_path, "empty.yaml", "# nothing\n")], None) == {}


def test_every_unreadable_source_of_config_is_named_at_once(tmp_path: Path) -> None:
    broken = _file(tmp_path, "broken.yaml", "a: [1,")
    listed = _file(tmp_path, "list.yaml", "- 1\n- 2\n")
    with pytest.raises(click.UsageError) as caught:
        read_run_config([broken, listed], "{oops")
    assert f"--config {broken}: not YAML" in caught.value.message
    assert f"--config {listed}: must hold a mapping, found list" in caught.value.message
    assert "--config-json: not JSON" in caught.value.message


def test_tags_are_text(tmp_path: Path) -> None:
    assert read_tags('{"team": "data", "priority": 3}') == {"team": "data", "priority": "3"}
    assert read_tags(None) == {}


def test_tags_that_are_no_object_are_refused() -> None:
    with pytest.raises(click.UsageError, match="--tags: must be a JSON object, found list"):
        read_tags("[1]")


@pytest.mark.parametrize(
    ("text", "names"), [(None, None), ("a", ["a"]), ("*a, b+", ["*a", "b+"]), ('["a", "*b"]', ["a", "*b"])]
)
def test_a_selection_is_split_into_its_parts(text: str | None, names: list[str] | None) -> None:
    assert read_names(text) == names


def test_a_broken_list_of_ops_is_refused() -> None:
    with pytest.raises(click.UsageError, match="--op-selection: not JSON"):
        read_names('["a"')
