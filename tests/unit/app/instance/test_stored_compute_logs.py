"""The sections of instance files that keep compute logs in an object store, in each family of keys that users know."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from orchord.compute_logs import ComputeLogManager
from orchord.compute_logs.store import StoredComputeLogManager
from orchord.errors import InstanceConfigError
from orchord.instance.plugins import constructed, load_class, parse_plugin

SECTIONS = {
    "dagster_obstore s3": """
        module: dagster_obstore.s3.compute_log_manager
        class: S3ComputeLogManager
        config: {access_key_id: root, allow_http: true, allow_invalid_certificates: true, bucket: dagster,
                 endpoint: 'http://minio.minio:9000', prefix: compute-log, region: default,
                 secret_access_key: root123!, timeout: 60s, local_dir: DIR, upload_interval: 30,
                 skip_empty_files: true, show_url_only: false, extra_s3_args: {aws_server_side_encryption: AES256}}
        """,
    "dagster_aws": """
        module: dagster_aws.s3.compute_log_manager
        class: S3ComputeLogManager
        config: {bucket: dagster, local_dir: DIR, prefix: compute-log, use_ssl: true, verify: true,
                 endpoint_url: 'http://minio:9000', skip_empty_files: false, upload_interval: null,
                 upload_extra_args: {ServerSideEncryption: AES256}, show_url_only: true, region: us-west-1}
        """,
    "dagster_obstore azure": """
        module: dagster_obstore.azure.compute_log_manager
        class: AzureBlobComputeLogManager
        config: {storage_account: acme, container: logs, client_id: i, client_secret: s, tenant_id: t,
                 local_dir: DIR, prefix: compute-log, allow_http: false, allow_invalid_certificates: false,
                 timeout: 60s, skip_empty_files: true, upload_interval: 30, show_url_only: false}
        """,
    "dagster_azure": """
        module: dagster_azure.blob.compute_log_manager
        class: AzureBlobComputeLogManager
        config: {storage_account: acme, container: logs, local_dir: DIR, prefix: compute-log,
                 secret_credential: {client_id: i, client_secret: s, tenant_id: t},
                 endpoint_suffix: core.usgovcloudapi.net, upload_interval: 30, show_url_only: false}
        """,
    "azure by its other name": """
        module: dagster_azure.blob
        class: AzureComputeLogManager
        config: {storage_account: acme, container: logs, access_key_or_sas_token: c2VjcmV0, prefix: compute-log,
                 default_azure_credential: null, local_dir: DIR}
        """,
    "dagster_obstore gcs": """
        module: dagster_obstore.gcs.compute_log_manager
        class: GCSComputeLogManager
        config: {bucket: logs, service_account_path: /keys/gcs.json, local_dir: DIR, prefix: compute-log,
                 allow_http: false, timeout: 60s, upload_interval: 30}
        """,
    "dagster_gcp": """
        module: dagster_gcp.gcs.compute_log_manager
        class: GCSComputeLogManager
        config: {bucket: logs, local_dir: DIR, prefix: compute-log, json_credentials_envvar: GCS_KEY,
                 upload_interval: 30, show_url_only: false}
        """,
}


def manager_of(text: str, folder: Any) -> ComputeLogManager:
    mistakes: list[str] = []
    spec = parse_plugin("compute_logs", yaml.safe_load(text.replace("DIR", str(folder))), mistakes)
    assert mistakes == []
    assert spec is not None
    return constructed(spec, load_class(spec, ComputeLogManager))


@pytest.mark.parametrize("name", SECTIONS)
def test_each_familys_section_is_understood(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCS_KEY", json.dumps({"client_email": "me"}))
    manager = manager_of(SECTIONS[name], tmp_path)
    assert isinstance(manager, StoredComputeLogManager)
    assert manager.prefix == "compute-log"
    assert str(manager.local.base_dir) == str(tmp_path)
    assert manager.store.url("key").endswith("/key")
    manager.dispose()


def test_all_mistakes_in_keys_are_told_at_once(tmp_path) -> None:
    text = "{module: dagster_obstore.s3, class: S3ComputeLogManager, config: {buckett: x, endpiont: y}}"
    with pytest.raises(InstanceConfigError) as caught:
        manager_of(text, tmp_path)
    told = str(caught.value)
    assert "unknown key 'buckett'" in told
    assert "unknown key 'endpiont'. Did you mean 'endpoint'" in told
    assert "the key 'bucket' is missing" in told
