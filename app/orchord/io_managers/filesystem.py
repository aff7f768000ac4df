"""Values as pickle files in a folder: the IO manager that is used where no other is given.

Layout: an op's output is ``<base>/<run id>/<step key>/<output name>``, an asset is ``<base>/<key part>/<key part>``.
"""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from orchord.definitions.config import Field, StringSource
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import io_manager
from orchord.definitions.metadata import MetadataValue
from orchord.definitions.resources import ConfigurableIOManager, InitResourceContext
from orchord.errors import InvariantViolationError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# Said outright, as open() would ask the file for it.
_BUFFER_BYTES = 1 << 16

# What pickle raises for a value that it cannot take; an OSError is a matter of the disk and passes as it is.
_PICKLE_ERRORS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError, NotImplementedError)


class FilesystemIOManager(ConfigurableIOManager):
    """Stores each value as one pickle file. A file is replaced whole or not at all.

    Args:
        base_dir: the folder; by default the instance's storage folder. Every worker must see the same one.
    """

    base_dir: str | None = None

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value and note its path.

        Raises:
            InvariantViolationError: the value cannot be pickled.
        """
        path = self._path(context, context)
        try:
            _replace(path, obj)
        except _PICKLE_ERRORS as error:
            raise InvariantViolationError(_not_picklable(context, obj, error)) from error
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            raise InvariantViolationError(
                f"{_value_of(context)} cannot be stored at {path}, as another asset's key is the beginning of this one "
                "or goes on from it. Rename one of them, for example with a key_prefix."
            ) from error
        context.add_output_metadata({"path": MetadataValue.path(path)})

    def load_input(self, context: InputContext) -> Any:
        """Read a value.

        Raises:
            FileNotFoundError: nothing was stored; the message names what was looked for.
        """
        path = self._path(context, context.upstream_output)
        try:
            with open(path, "rb") as file:
                return pickle.load(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(errno.ENOENT, _not_stored(context), path) from error

    def _path(self, context: InputContext | OutputContext, output: OutputContext | None) -> str:
        base = self.base_dir
        if base is None:
            if context.instance is None:
                raise InvariantViolationError(
                    "FilesystemIOManager has no base_dir, and there is no instance whose storage folder it could use. "
                    "Give FilesystemIOManager(base_dir=...)."
                )
            base = context.instance.storage_directory()
        if context.has_asset_key:
            return os.path.join(base, *_checked(context.get_asset_identifier()))
        return os.path.join(base, *_checked((output or context).get_identifier()))


@io_manager(
    config_schema={"base_dir": Field(StringSource, is_required=False, description="The folder of the files.")},
    description="Stores each value as one pickle file in a local or shared folder.",
)
def fs_io_manager(context: InitResourceContext) -> FilesystemIOManager:
    """Make a FilesystemIOManager from config."""
    return FilesystemIOManager(base_dir=context.resource_config.get("base_dir"))


def _replace(path: str, obj: Any) -> None:
    """Write a value to a file beside ``path`` and move it there. It is on every step's way: no call is made in vain."""
    folder, separator, name = path.rpartition(os.sep)
    temporary = f"{folder}{separator}.{name[:100]}.{os.urandom(6).hex()}"
    try:
        descriptor = os.open(temporary, _NEW_FILE, 0o666)
    except FileNotFoundError:
        _make_folder(folder)
        descriptor = os.open(temporary, _NEW_FILE, 0o666)
    try:
        with open(descriptor, "wb", _BUFFER_BYTES) as file:
            pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _make_folder(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        # Another step of the run made it just now; if a file is in the way, opening tells.
        pass
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def _checked(parts: Sequence[str]) -> Sequence[str]:
    for part in parts:
        if part in ("", ".", "..") or "/" in part or os.sep in part or "\0" in part:
            raise InvariantViolationError(
                f"{part!r} in {list(parts)!r} cannot be the name of a file or folder. Rename the asset or op."
            )
    return parts


def _value_of(context: OutputContext) -> str:
    asset = f" (asset '{context.asset_key.to_user_string()}')" if context.has_asset_key else ""
    return f"Output '{context.name}' of step '{context.step_key}'{asset}"


def _not_picklable(context: OutputContext, obj: Any, error: BaseException) -> str:
    type_name = f"{type(obj).__module__}.{type(obj).__qualname__}".removeprefix("builtins.")
    return (
        f"{_value_of(context)} is a value of type '{type_name}', which cannot be pickled: {error}. "
        "Return data rather than open handles or functions, or give the output an IO manager that can store it."
    )


def _not_stored(context: InputContext) -> str:
    if context.has_asset_key:
        return f"No value of asset '{context.asset_key.to_user_string()}' is stored. Materialize it first"
    return "No value is stored for this input; its files may have been removed, or lie on another machine"
