"""Importing the config package costs little beyond pydantic, and brings in nothing that a server has no use for."""

from __future__ import annotations

import subprocess
import sys


def test_importing_config_brings_in_no_service_library() -> None:
    code = (
        "import sys; import orchord.definitions.config, orchord.definitions.resources; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {"flask", "celery", "kombu", "redis", "sqlalchemy", "docker", "alembic", "click", "rich", "croniter"}
    assert unwanted.isdisjoint(loaded)


def test_importing_config_costs_little_beyond_pydantic() -> None:
    code = (
        "import time; start = time.process_time()\n"
        "from pydantic import BaseModel, TypeAdapter, SecretStr, ValidationError\n"
        "class Warm(BaseModel):\n    x: int\n"
        "pydantic = time.process_time(); import orchord.definitions.config\n"
        "print(pydantic - start, time.process_time() - pydantic)"
    )
    ratios = []
    for _ in range(3):
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        of_pydantic, of_config = map(float, output.split())
        ratios.append(of_config / of_pydantic)
    assert min(ratios) < 1.5, ratios
