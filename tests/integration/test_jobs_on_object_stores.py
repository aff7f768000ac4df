"""Jobs whose values are on each object store, set up by definitions with config and by classes; also users' clients."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import pytest

import orchord as o


@o.op
def numbers():
    return list(range(1, 11))


@o.op
def total(numbers):
    return sum(numbers)


@o.graph
def add_up():
    total(numbers())


@o.asset
def generated_numbers():
    return list(range(1, 11))


@o.asset
def summed_numbers(generated_numbers):
    return sum(generated_numbers)


def run(resources: dict[str, Any]) -> str:
    """Run the job and the assets; return the run's id."""
    result = add_up.to_job(resource_defs=resources).execute_in_process()
    assert result.output_for_node("total") == 55
    assert o.materialize([generated_numbers, summed_numbers], resources=resources).success
    return result.run_id


def test_s3_by_definitions_with_config_and_by_classes(s3_bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    server = s3_bucket.server
    monkeypatch.setenv("KEY", server.access_key)
    monkeypatch.setenv("SECRET", server.secret_key)
    old = run(
        {
            "io_manager": o.s3_pickle_io_manager.configured({"s3_bucket": s3_bucket.name, "s3_prefix": "a/b/"}),
            "s3": o.s3_resource.configured(
                {
                    "endpoint_url": server.url,
                    "use_ssl": False,
                    "aws_access_key_id": {"env": "KEY"},
                    "aws_secret_access_key": {"env": "SECRET"},
                }
            ),
        }
    )
    s3 = o.S3Resource(
        endpoint_url=server.url,
        aws_access_key_id=o.EnvVar("KEY"),
        aws_secret_access_key=o.EnvVar("SECRET"),
    )
    new = run({"io_manager": o.S3PickleIOManager(s3_resource=s3, s3_bucket=s3_bucket.name)})
    assert sorted(s3_bucket.object_keys()) == sorted(
        [
            "a/b/generated_numbers",
            f"a/b/storage/{old}/numbers/result",
            f"a/b/storage/{old}/total/result",
            "a/b/summed_numbers",
            "dagster/generated_numbers",
            f"dagster/storage/{new}/numbers/result",
            f"dagster/storage/{new}/total/result",
            "dagster/summed_numbers",
        ]
    )


def test_a_boto3_client_as_the_resource_serves_too(s3_bucket) -> None:
    with s3_bucket.client() as client:
        manager = o.s3_pickle_io_manager.configured({"s3_bucket": s3_bucket.name})
        run_id = run({"io_manager": manager, "s3": client})
    assert f"dagster/storage/{run_id}/total/result" in s3_bucket.object_keys()


def test_azure_by_definitions_with_config_and_by_classes(azure_container) -> None:
    pytest.importorskip("azure.storage.blob")
    old = run(
        {
            "io_manager": o.adls2_pickle_io_manager.configured({"adls2_file_system": azure_container.name}),
            "adls2": o.adls2_resource.configured(
                {
                    "storage_account": azure_container.account,
                    "credential": {"key": azure_container.key},
                    "endpoint_url": azure_container.url,
                }
            ),
        }
    )
    adls2 = o.ADLS2Resource(
        storage_account=azure_container.account,
        credential=o.ADLS2Key(key=azure_container.key),
        endpoint_url=azure_container.url,
    )
    new = run(
        {"io_manager": o.ADLS2PickleIOManager(adls2=adls2, adls2_file_system=azure_container.name, adls2_prefix="new")}
    )
    with adls2.blob_client as client, client.get_container_client(azure_container.name) as container:
        keys = [blob.name for blob in container.list_blobs()]
    assert f"dagster/storage/{old}/files/total/result" in keys
    assert f"new/storage/{new}/files/total/result" in keys
    assert "new/summed_numbers" in keys


def test_azure_by_a_token_of_a_container(azure_container) -> None:
    blob = pytest.importorskip("azure.storage.blob")
    from datetime import timedelta

    from orchord.events import utc_now

    token = blob.generate_container_sas(
        azure_container.account,
        azure_container.name,
        account_key=azure_container.key,
        permission="racwdl",
        expiry=utc_now() + timedelta(hours=1),
    )
    adls2 = o.ADLS2Resource(
        storage_account=azure_container.account,
        credential=o.ADLS2SASToken(token=token),
        endpoint_url=azure_container.url,
    )
    run({"io_manager": o.ADLS2PickleIOManager(adls2=adls2, adls2_file_system=azure_container.name)})
    manager = o.PickledObjectADLS2IOManager("no-such-container", adls2)
    with pytest.raises(Exception) as caught:
        manager.handle_output(o.build_output_context(step_key="s", name="result", run_id="r"), 1)
    assert "sig=" not in str(caught.value)
    manager.bucket.close()


def test_google_cloud_storage_by_definitions_with_config_and_by_classes(gcs_bucket) -> None:
    old = run(
        {
            "io_manager": o.gcs_pickle_io_manager.configured({"gcs_bucket": gcs_bucket.name}),
            "gcs": o.gcs_resource.configured({"endpoint_url": gcs_bucket.url}),
        }
    )
    gcs = o.GCSResource(endpoint_url=gcs_bucket.url)
    new = run({"io_manager": o.GCSPickleIOManager(gcs=gcs, gcs_bucket=gcs_bucket.name, gcs_prefix="new")})
    with urllib.request.urlopen(f"{gcs_bucket.url}/storage/v1/b/{gcs_bucket.name}/o", timeout=10) as answer:
        keys = [entry["name"] for entry in json.load(answer)["items"]]
    assert f"dagster/storage/{old}/files/total/result" in keys
    assert f"new/storage/{new}/files/total/result" in keys
    client = gcs.get_client()
    assert client.bucket(gcs_bucket.name).blob("new/summed_numbers").exists()
    client.close()


@pytest.mark.parametrize(
    ("missing", "ask", "line"),
    [
        ("boto3", lambda: o.S3Resource().get_client(), r"pip install 'orchord\[s3\]'"),
        ("google.cloud.storage", lambda: o.GCSResource().get_client(), r"pip install 'orchord\[gcs\]'"),
        (
            "azure.storage.blob",
            lambda: o.ADLS2Resource(storage_account="a", credential=o.ADLS2Key(key="k")).blob_client,
            r"pip install 'orchord\[azure\]'",
        ),
        (
            "azure.identity",
            lambda: o.PickledObjectADLS2IOManager(
                "f", o.ADLS2Resource(storage_account="a", credential=o.ADLS2DefaultAzureCredential())
            ).bucket.size("k"),
            r"pip install 'orchord\[azure\]'",
        ),
    ],
    ids=["s3", "gcs", "azure", "azure identity"],
)
def test_a_missing_library_is_told_with_the_line_that_installs_it(
    missing: str, ask: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=line):
        ask()
