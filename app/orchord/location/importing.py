"""Importing users' modules: freshly at a reload, and with errors that show the user's own frames alone.

This is one of the places where user code runs, so every error of an import is the user's. What is looked for in the
module is loading.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import site
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from orchord.errors import CodeLocationLoadError
from orchord.location.target import LocationTarget

T = TypeVar("T")

_OURS = str(Path(__file__).parent.parent)
_IMPORTLIB = str(Path(importlib.__file__).parent)
_LIBRARIES = tuple(
    dict.fromkeys(
        str(Path(path).resolve())
        for path in (*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values())
        if path and path != sys.prefix
    )
)
# Which modules each target brought in, so that loading it again imports them again.
_modules_of: dict[LocationTarget, set[str]] = {}


def import_target(target: LocationTarget) -> ModuleType:
    """Import a target's module; if it was imported before, with all that it imported of the user's, freshly.

    Raises:
        CodeLocationLoadError: it cannot be imported; with the user's own traceback.
    """
    for folder in reversed(target.import_folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    for name in _modules_of.pop(target, set()):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        return run_user_code(target, lambda: _imported(target))
    finally:
        new = set(sys.modules) - before
        _modules_of[target] = {name for name in new if _is_users(sys.modules.get(name))}


def submodule(target: LocationTarget, package: ModuleType, name: str) -> ModuleType | None:
    """Import a module of a package if there is one of this name."""
    full_name = f"{package.__name__}.{name}"
    if not hasattr(package, "__path__") or importlib.util.find_spec(full_name) is None:
        return None
    before = set(sys.modules)
    try:
        return run_user_code(target, lambda: importlib.import_module(full_name))
    finally:
        new = set(sys.modules) - before
        _modules_of.setdefault(target, set()).update(name for name in new if _is_users(sys.modules.get(name)))


def run_user_code(target: LocationTarget, run: Callable[[], T]) -> T:
    """Run something of the user's while the location is loaded.

    Raises:
        CodeLocationLoadError: it raised; with the user's own traceback, and the error as its cause.
    """
    try:
        return run()
    except CodeLocationLoadError:
        raise
    except (Exception, SystemExit) as error:
        text = str(error)
        problem = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise CodeLocationLoadError(
            f"Code location '{target.location_name}' cannot be loaded. {problem}", user_traceback(error)
        ) from error


def user_traceback(error: BaseException) -> str:
    """Return an error as Python would print it, without the frames of Orchord and of the import machinery."""
    whole = traceback.TracebackException.from_exception(error)
    waiting: list[traceback.TracebackException | None] = [whole]
    while waiting:
        one = waiting.pop()
        if one is None:
            continue
        one.stack = traceback.StackSummary.from_list(frame for frame in one.stack if not _is_ours(frame.filename))
        waiting += [one.__cause__, one.__context__]
    return "".join(whole.format())


def _imported(target: LocationTarget) -> ModuleType:
    if target.file is not None:
        return _imported_file(target, target.file)
    name = target.module or target.package or ""
    _check_found(target, name)
    return importlib.import_module(name)


def _check_found(target: LocationTarget, name: str) -> None:
    """Tell a target that does not exist from one whose own imports fail."""
    top = name.partition(".")[0]
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        return
    folders = ", ".join(str(folder) for folder in target.import_folders)
    raise CodeLocationLoadError(
        f"Code location '{target.location_name}' cannot be loaded. No module is named '{top}'; it was looked for in"
        f" {folders} and among the installed packages. Start in its folder, or name that as the working directory."
    )


def _imported_file(target: LocationTarget, file: Path) -> ModuleType:
    path = ((target.working_directory or Path.cwd()) / file).absolute()
    if not path.is_file():
        raise CodeLocationLoadError(
            f"Code location '{target.location_name}' cannot be loaded. There is no file {path}."
        )
    name = path.stem
    known = sys.modules.get(name)
    if name in sys.stdlib_module_names or (known is not None and getattr(known, "__file__", None) != str(path)):
        # The file must not take the place of another module of its name.
        name = f"{name}_{abs(hash(str(path.parent)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CodeLocationLoadError(
            f"Code location '{target.location_name}' cannot be loaded. {path} must have a name that ends in .py."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_users(module: ModuleType | None) -> bool:
    """Whether a module is the user's own, and not Python's, Orchord's or an installed package's."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        # A namespace package has no file; forgetting it costs nothing.
        return module is not None and hasattr(module, "__path__") and not module.__name__.startswith("orchord")
    if file.startswith(_OURS):
        return False
    return not str(Path(file).resolve()).startswith(_LIBRARIES)


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OURS, _IMPORTLIB, "<frozen importlib"))
