"""FilesystemIOManager: where values lie, that files are whole, and what it says when it cannot store or load."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from orchord.definitions.io_context import InputContext, OutputContext, build_input_context, build_output_context
from orchord.errors import InvariantViolationError
from orchord.execution.transient import TransientInstance
from orchord.io_managers import FilesystemIOManager, fs_io_manager


def op_output(name: str = "result", **more: Any) -> OutputContext:
    return build_output_context(step_key="graph.step", name=name, run_id="run-1", **more)


def asset_output(*path: str) -> OutputContext:
    return build_output_context(step_key="step", name="result", run_id="run-1", asset_key=path)


def op_input(output: OutputContext) -> InputContext:
    return build_input_context(name="x", upstream_output=output)


def test_an_ops_output_lies_under_run_step_and_name(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    manager.handle_output(op_output(), {"a": [1, 2]})
    assert (tmp_path / "run-1" / "graph.step" / "result").is_file()
    assert manager.load_input(op_input(op_output())) == {"a": [1, 2]}


def test_an_asset_lies_under_the_parts_of_its_key(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    manager.handle_output(asset_output("shop", "orders"), 7)
    assert (tmp_path / "shop" / "orders").is_file()
    assert manager.load_input(build_input_context(name="x", asset_key=["shop", "orders"])) == 7


def test_an_asset_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    for value in ("first", "second"):
        manager.handle_output(asset_output("orders"), value)
    assert [path.name for path in tmp_path.iterdir()] == ["orders"]
    assert manager.load_input(build_input_context(asset_key="orders")) == "second"


def test_the_path_is_noted_as_metadata(tmp_path: Path) -> None:
    context = asset_output("orders")
    FilesystemIOManager(base_dir=str(tmp_path)).handle_output(context, 1)
    assert context.get_logged_metadata()["path"].to_json() == {"type": "path", "value": str(tmp_path / "orders")}


def test_without_a_base_dir_the_instances_folder_is_used() -> None:
    with TransientInstance() as instance:
        FilesystemIOManager().handle_output(op_output(instance=instance), 5)
        folder = Path(instance.storage_directory())
        assert (folder / "run-1" / "graph.step" / "result").is_file()
    assert not folder.exists()


def test_without_a_base_dir_and_an_instance_it_says_what_to_give() -> None:
    with pytest.raises(InvariantViolationError, match=r"no base_dir, and there is no instance.*base_dir=\.\.\."):
        FilesystemIOManager().handle_output(op_output(), 5)


def test_a_value_that_cannot_be_pickled_is_named_with_output_step_and_type(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    with pytest.raises(InvariantViolationError) as caught:
        manager.handle_output(op_output("rows"), threading.Lock())
    assert str(caught.value).startswith(
        "Output 'rows' of step 'graph.step' is a value of type '_thread.lock', which cannot be pickled: "
    )
    assert "IO manager that can store it" in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_failed_store_leaves_the_earlier_value(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    manager.handle_output(asset_output("orders"), "good")
    with pytest.raises(InvariantViolationError, match="asset 'orders'"):
        manager.handle_output(asset_output("orders"), lambda: None)
    assert manager.load_input(build_input_context(asset_key="orders")) == "good"


def test_a_value_that_was_never_stored_is_a_file_not_found(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="No value of asset 'orders' is stored. Materialize it first"):
        manager.load_input(build_input_context(asset_key="orders"))
    with pytest.raises(FileNotFoundError, match="No value is stored for this input"):
        manager.load_input(op_input(op_output()))


def test_an_asset_whose_key_goes_on_from_anothers_is_refused(tmp_path: Path) -> None:
    manager = FilesystemIOManager(base_dir=str(tmp_path))
    manager.handle_output(asset_output("orders"), 1)
    with pytest.raises(InvariantViolationError, match="another asset's key is the beginning of this one"):
        manager.handle_output(asset_output("orders", "daily"), 2)
    manager.handle_output(asset_output("sales", "daily"), 2)
    with pytest.raises(InvariantViolationError, match="goes on from it"):
        manager.handle_output(asset_output("sales"), 1)


@pytest.mark.parametrize("part", ["..", "a/b", "."])
def test_keys_that_would_leave_the_folder_are_refused(tmp_path: Path, part: str) -> None:
    with pytest.raises(InvariantViolationError, match="cannot be the name of a file or folder"):
        FilesystemIOManager(base_dir=str(tmp_path)).handle_output(asset_output("a", part), 1)


def test_the_definition_takes_base_dir_from_config(tmp_path: Path) -> None:
    from orchord.definitions.resources import build_resources

    configured = fs_io_manager.configured({"base_dir": str(tmp_path)})
    with build_resources({"io_manager": configured}) as resources:
        resources.io_manager.handle_output(asset_output("orders"), 3)
    assert (tmp_path / "orders").is_file()
