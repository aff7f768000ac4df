"""``materialize`` and ``materialize_to_memory``: make assets in this process, outside any Definitions.

They build the job that Definitions would, and run it as execute.py runs any job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchord.definitions.assets.catalog import AssetCatalog
from orchord.definitions.assets.job import asset_job
from orchord.definitions.assets.selection import AssetSelection
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.errors import InvalidDefinitionError, numbered
from orchord.execution.execute import InProcessEngine
from orchord.execution.result import ExecuteInProcessResult
from orchord.io_managers import FilesystemIOManager, mem_io_manager

if TYPE_CHECKING:
    from orchord.definitions.assets.selection import CoercibleToAssetSelection

JOB_NAME = "__ephemeral_asset_job__"


def materialize(
    assets: Sequence[Any],
    run_config: Any = None,
    instance: Any = None,
    resources: Mapping[str, Any] | None = None,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: CoercibleToAssetSelection | None = None,
) -> ExecuteInProcessResult:
    """Make assets in this process.

    Values are stored as files in the instance's storage folder unless ``resources`` has another ``io_manager``; without
    an instance the folder is gone at the end.

    Args:
        assets: assets, and specs or source assets that they read.
        run_config: config, as a dict or RunConfig.
        instance: the instance that the run belongs to.
        resources: objects or definitions, by key.
        raise_on_error: raise what the first failed step raised; else the result tells.
        tags: tags of the run.
        selection: which of the assets; all when left out. Those left out are loaded, if they are read.

    Raises:
        InvalidDefinitionError: the assets do not fit together, or resources are missing.
    """
    return _run(
        assets,
        resources or {},
        run_config=run_config,
        instance=instance,
        raise_on_error=raise_on_error,
        tags=tags,
        selection=selection,
    )


def materialize_to_memory(
    assets: Sequence[Any],
    run_config: Any = None,
    instance: Any = None,
    resources: Mapping[str, Any] | None = None,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: CoercibleToAssetSelection | None = None,
) -> ExecuteInProcessResult:
    """Make assets in this process, and keep their values in memory. Takes what ``materialize`` takes.

    Raises:
        InvalidDefinitionError: the assets do not fit together, or resources are missing.
    """
    return _run(
        assets,
        {**(resources or {}), DEFAULT_IO_MANAGER_KEY: mem_io_manager},
        run_config=run_config,
        instance=instance,
        raise_on_error=raise_on_error,
        tags=tags,
        selection=selection,
    )


def _run(
    assets: Sequence[Any],
    resources: Mapping[str, Any],
    *,
    selection: CoercibleToAssetSelection | None,
    **options: Any,
) -> ExecuteInProcessResult:
    catalog = AssetCatalog(assets)
    resource_defs = {DEFAULT_IO_MANAGER_KEY: FilesystemIOManager(), **catalog.resource_defs(), **resources}
    if catalog.mistakes:
        raise InvalidDefinitionError(numbered("The assets cannot be materialized", catalog.mistakes))
    chosen = AssetSelection.all() if selection is None else AssetSelection.from_coercible(selection)
    job = asset_job(JOB_NAME, chosen.resolve_to_make(catalog.graph), catalog, resource_defs=resource_defs)
    return InProcessEngine().execute_job(job, **options)
