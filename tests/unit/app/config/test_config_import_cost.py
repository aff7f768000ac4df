"""Importing the config package alone costs little beyond pydantic, and brings in nothing unneeded."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

SPEC = importlib.util.find_spec("orchord")
assert SPEC is not None
assert SPEC.origin is not None

# The public names import all of the package; what stands for them here lets one part of it be imported alone.
ALONE = f"""
import sys, time, types
package = types.ModuleType("orchord")
package.__path__ = [{str(Path(SPEC.origin).parent)!r}]
sys.modules["orchord"] = package
"""


def output_of(code: str) -> str:
    command = [sys.executable, "-c", ALONE + code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_config_brings_in_no_service_library_and_nothing_that_executes() -> None:
    loaded = set(output_of("import orchord.definitions.config\nprint(*sys.modules)").split())
    assert not [name for name in loaded if name.startswith(("orchord.execution", "orchord.storage", "orchord.plan"))]
    unwanted = {"flask", "celery", "kombu", "redis", "sqlalchemy", "docker", "alembic", "click", "rich", "croniter"}
    assert unwanted.isdisjoint(loaded)


def test_importing_config_costs_little_beyond_pydantic() -> None:
    code = """
start = time.process_time()
from pydantic import BaseModel, TypeAdapter, SecretStr, ValidationError
class Warm(BaseModel):
    x: int
after_pydantic = time.process_time()
import orchord.definitions.config
print(after_pydantic - start, time.process_time() - after_pydantic)
"""
    ratios = []
    for _ in range(3):
        of_pydantic, of_config = map(float, output_of(code).split())
        ratios.append(of_config / of_pydantic)
    assert min(ratios) < 1.0, ratios
