"""What every IO manager that keeps values does alike: in memory, on a disk, on S3, Azure and Google Cloud Storage."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchord as o
from orchord.errors import InvariantViolationError

MANAGERS = ["memory", "filesystem", "upath", "s3-seaweedfs", "s3-moto", "azure", "gcs"]
STORING = [name for name in MANAGERS if name != "memory"]


class _PicklesByPath(o.UPathIOManager):
    extension = ".pickle"

    def dump_to_path(self, context: o.OutputContext, obj: Any, path: Any) -> None:
        path.write_bytes(pickle.dumps(obj, protocol=5))

    def load_from_path(self, context: o.InputContext, path: Any) -> Any:
        return pickle.loads(path.read_bytes())


def _manager(name: str, request: pytest.FixtureRequest, folder: Path) -> o.IOManager:
    if name == "memory":
        return o.InMemoryIOManager()
    if name == "filesystem":
        return o.FilesystemIOManager(base_dir=str(folder))
    if name == "upath":
        return _PicklesByPath(folder)
    if name.startswith("s3"):
        request.getfixturevalue("object_store_library")
        server = request.getfixturevalue("seaweedfs_server" if name == "s3-seaweedfs" else "moto_s3_server")
        bucket = server.new_bucket()
        s3 = o.S3Resource(
            endpoint_url=server.url,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
        )
        return o.S3PickleIOManager(s3_resource=s3, s3_bucket=bucket.name, s3_prefix="some/prefix")
    if name == "azure":
        container = request.getfixturevalue("azure_container")
        adls2 = o.ADLS2Resource(
            storage_account=container.account,
            credential=o.ADLS2Key(key=container.key),
            endpoint_url=container.url,
        )
        return o.ADLS2PickleIOManager(adls2=adls2, adls2_file_system=container.name, adls2_prefix="some/prefix")
    bucket = request.getfixturevalue("gcs_bucket")
    return o.GCSPickleIOManager(gcs=o.GCSResource(endpoint_url=bucket.url), gcs_bucket=bucket.name)


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[o.IOManager]:
    """Each IO manager."""
    made = _manager(request.param, request, tmp_path)
    yield made
    if hasattr(made, "inner_io_manager"):
        made.inner_io_manager().bucket.close()


@pytest.fixture(params=STORING)
def storing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[o.IOManager]:
    """Each IO manager that keeps values outside of this process."""
    made = _manager(request.param, request, tmp_path)
    yield made
    if hasattr(made, "inner_io_manager"):
        made.inner_io_manager().bucket.close()


def output(step: str = "make", name: str = "result", run: str = "run-1", asset: Any = None) -> o.OutputContext:
    return o.build_output_context(step_key=step, name=name, run_id=run, asset_key=asset)


def loading(of: o.OutputContext, asset: Any = None) -> o.InputContext:
    return o.build_input_context(name="value", upstream_output=of, asset_key=asset)


class TestEveryIOManager:
    @pytest.mark.parametrize(
        "value",
        [None, 7, "text", b"", {"a": [1, 2.5, None]}, b"\x97" * 3_000_000],
        ids=lambda value: type(value).__name__,
    )
    def test_a_value_comes_back(self, manager: o.IOManager, value: Any) -> None:
        made = output()
        manager.handle_output(made, value)
        assert manager.load_input(loading(made)) == value

    def test_runs_steps_and_outputs_are_kept_apart(self, manager: o.IOManager) -> None:
        made = [output(), output(name="other"), output(step="outer.make"), output(run="run-2")]
        for number, context in enumerate(made):
            manager.handle_output(context, number)
        assert [manager.load_input(loading(context)) for context in made] == [0, 1, 2, 3]

    def test_an_asset_is_overwritten_by_the_next_run(self, manager: o.IOManager) -> None:
        key = o.AssetKey(["shop", "orders v2"])
        manager.handle_output(output(run="run-1", asset=key), [1])
        manager.handle_output(output(run="run-2", asset=key), [2])
        assert manager.load_input(loading(output(run="run-9", asset=key), key)) == [2]

    def test_a_value_that_is_not_there_is_told(self, manager: o.IOManager) -> None:
        with pytest.raises((FileNotFoundError, InvariantViolationError), match="stored|memory|No such file"):
            manager.load_input(loading(output(run="never")))


class TestStoringIOManagers:
    def test_what_cannot_be_pickled_leaves_the_old_value(self, storing: o.IOManager) -> None:
        made = output()
        storing.handle_output(made, ["old"] * 100)
        with pytest.raises((InvariantViolationError, AttributeError, pickle.PicklingError), match="pickle"):
            # The first part is sent before pickle finds out.
            storing.handle_output(made, [b"x" * 40_000_000, lambda: None])
        assert storing.load_input(loading(made)) == ["old"] * 100

    def test_where_a_value_is_stands_in_its_metadata(self, storing: o.IOManager) -> None:
        made = output(asset=["shop", "orders"])
        storing.handle_output(made, 1)
        assert "shop/orders" in str(made.get_logged_metadata()["path"].value)

    def test_buffers_of_any_size_come_back_as_they_were(self, storing: o.IOManager) -> None:
        made = output()
        value = [Frame(bytearray(b"a" * 5_000_000)), "between", Frame(bytes(3_000_000)), Frame(bytearray(b"small"))]
        storing.handle_output(made, value)
        assert storing.load_input(loading(made)) == value


class Frame:
    """A value that gives pickle its memory, as arrays and data frames do."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Frame, (pickle.PickleBuffer(self.memory),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and type(self.memory) is type(other.memory) and self.memory == other.memory
