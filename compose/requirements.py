"""Prints what pyproject.toml depends on, one requirement a line: the layer of compose/Dockerfile that seldom changes.

Usage: ``python requirements.py PYPROJECT [EXTRA,EXTRA]``. Needs nothing but the standard library.
"""

import sys
import tomllib
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Print the project's dependencies and those of the extras; an extra that is not there ends the build."""
    project = tomllib.loads(Path(arguments[0]).read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    extras = [name.strip() for name in (arguments[1] if len(arguments) > 1 else "").split(",") if name.strip()]
    unknown = [name for name in extras if name not in optional]
    if unknown:
        sys.exit(f"EXTRAS names {', '.join(unknown)}; pyproject.toml has {', '.join(sorted(optional))}.")
    print("\n".join([*project["dependencies"], *(line for name in extras for line in optional[name])]))


if __name__ == "__main__":
    main(sys.argv[1:])
