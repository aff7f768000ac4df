"""Which files a code location is made of, and noticing that they change.

What follows from a change is decided in supervisor.py.
"""

from __future__ import annotations

import importlib.util
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchord.location import LocationTarget

SUFFIXES = (".py", ".yaml", ".yml", ".sql")


def watched_path(target: LocationTarget) -> Path | None:
    """Return the file or folder that holds a target's code; None when it is nowhere to be found."""
    if target.file is not None:
        file = Path(target.file).absolute()
        return file if file.parent in _too_wide() else file.parent
    top = str(target.module or target.package).partition(".")[0]
    directory = Path(target.working_directory or Path.cwd())
    for candidate in (directory / top, directory / f"{top}.py"):
        if candidate.exists():
            return candidate
    # Finding a top-level module runs none of its code; finding one inside a package would run the package.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or [])
    if places:
        return Path(places[0])
    return Path(spec.origin) if spec.origin else None


def _too_wide() -> set[Path]:
    """Folders that hold far more than one project: a file there is watched alone."""
    return {Path("/"), Path.home(), Path(tempfile.gettempdir())}


def rounds(paths: Iterable[Path], stop: threading.Event, *, pause_seconds: float = 0.2) -> Iterator[bool]:
    """Yield once every ``pause_seconds``, and at once when files changed: whether they did. Ends when ``stop`` is set.

    Without the package ``watchfiles`` it never says that they did.
    """
    existing = [path.absolute() for path in paths if path.exists()]
    try:
        # Optional: comes with the extra [dev].
        import watchfiles  # noqa: PLC0415
    except ImportError:
        existing = []
    if not existing:
        while not stop.is_set():
            yield False
            stop.wait(pause_seconds)
        return
    folders = [path for path in existing if path.is_dir()]
    files = {str(path) for path in existing if not path.is_dir()}

    class CodeFilter(watchfiles.DefaultFilter):
        def __call__(self, change: watchfiles.Change, path: str) -> bool:
            if not path.endswith(SUFFIXES) or not super().__call__(change, path):
                return False
            return path in files or any(Path(path).is_relative_to(folder) for folder in folders)

    changes = watchfiles.watch(
        # A file by its folder: editors replace a file by another of its name, which a watch on the old one misses.
        *folders,
        *{Path(path).parent for path in files},
        recursive=bool(folders),
        watch_filter=CodeFilter(),
        debounce=400,
        step=50,
        stop_event=stop,
        rust_timeout=int(pause_seconds * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    for changed in changes:
        yield bool(changed)


def watching_is_possible() -> bool:
    """Return whether the package that notices changes is installed."""
    return importlib.util.find_spec("watchfiles") is not None
