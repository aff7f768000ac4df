"""The base of IO managers that keep one file for each value: paths, whole replacement, and what subclasses may say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import orchord as o
from orchord.errors import InvariantViolationError


class TextFiles(o.UPathIOManager):
    """Values as text."""

    extension = ".txt"

    def dump_to_path(self, context: o.OutputContext, obj: Any, path: Any) -> None:
        with path.open("w") as file:
            file.write(obj[:3])
            if obj == "fails":
                raise ValueError("the disk is full")
            file.write(obj[3:])

    def load_from_path(self, context: o.InputContext, path: Any) -> Any:
        return path.read_text()

    def get_metadata(self, context: o.OutputContext, obj: Any) -> dict[str, Any]:
        return {"length": len(obj)}


class Folders(o.UPathIOManager):
    """Values as folders of files, as of partitioned tables."""

    def dump_to_path(self, context: o.OutputContext, obj: Any, path: Any) -> None:
        path.mkdir()
        for name in obj:
            (path / name).write_text(name)

    def load_from_path(self, context: o.InputContext, path: Any) -> Any:
        return sorted(file.name for file in path.iterdir())


class Awaited(TextFiles):
    """Reads by a coroutine."""

    async def load_from_path(self, context: o.InputContext, path: Any) -> Any:
        return path.read_text()


def store(manager: o.IOManager, value: Any) -> o.OutputContext:
    context = o.build_output_context(step_key="make", name="result", run_id="run-1")
    manager.handle_output(context, value)
    return context


def load(manager: o.IOManager) -> Any:
    upstream = o.build_output_context(step_key="make", name="result", run_id="run-1")
    return manager.load_input(o.build_input_context(name="value", upstream_output=upstream))


def files_below(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_paths_and_metadata(tmp_path: Path) -> None:
    manager = TextFiles(tmp_path)
    metadata = store(manager, "value").get_logged_metadata()
    manager.handle_output(o.build_output_context(asset_key=["shop", "v1.orders"], name="result"), "asset")
    assert files_below(tmp_path) == ["run-1/make/result.txt", "shop/v1.orders.txt"]
    assert metadata["path"].value == str(tmp_path / "run-1" / "make" / "result.txt")
    assert metadata["length"].value == 5
    assert load(manager) == "value"


def test_a_failed_write_leaves_the_old_value_and_nothing_else(tmp_path: Path) -> None:
    manager = TextFiles(str(tmp_path))
    store(manager, "old")
    with pytest.raises(ValueError, match="disk is full"):
        store(manager, "fails")
    assert load(manager) == "old"
    assert files_below(tmp_path) == ["run-1/make/result.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    manager = Folders(tmp_path)
    store(manager, ["a", "b"])
    store(manager, ["c"])
    assert load(manager) == ["c"]
    assert files_below(tmp_path) == ["run-1/make/result/c"]


def test_a_coroutine_is_awaited(tmp_path: Path) -> None:
    manager = Awaited(tmp_path)
    store(manager, "value")
    assert load(manager) == "value"


@pytest.mark.parametrize("part", ["..", ".", "", "a\0b", "a/b", "a\\b"])
def test_no_name_leads_out_of_the_base(part: str, tmp_path: Path) -> None:
    context = o.build_output_context(step_key=part, name="result", run_id="run-1")
    with pytest.raises(InvariantViolationError, match="cannot be the name of a file or folder. Rename"):
        TextFiles(tmp_path).handle_output(context, "value")


def test_an_extension_begins_with_a_dot() -> None:
    class Wrong(TextFiles):
        extension = "txt"

    with pytest.raises(InvariantViolationError, match=r"Wrong.extension is 'txt'; it must begin with a dot, as '.txt'"):
        Wrong()


def test_urls_need_universal_pathlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(ImportError, match=r"s3:// paths are universal-pathlib's.*pip install 'orchord\[upath\]'"):
        TextFiles("s3://bucket/folder")


def test_any_file_system_of_fsspec_serves() -> None:
    pytest.importorskip("upath")
    manager = TextFiles("memory://test-upath/values")
    metadata = store(manager, "value").get_logged_metadata()
    assert load(manager) == "value"
    assert metadata["path"].value.endswith("test-upath/values/run-1/make/result.txt")
    assert manager.has_output(o.build_output_context(step_key="make", name="result", run_id="run-1"))
    assert "memory" in manager.fs.protocol
    assert manager.storage_options == {}
