"""What the settings of each store become, and that nothing secret is shown of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import orchord as o
from orchord.compute_logs.s3 import S3ComputeLogManager
from orchord.errors import InvalidConfigError
from orchord.io_managers.s3 import S3Client, settings_of_session
from orchord.object_stores.azure import azure_settings, key_or_token
from orchord.object_stores.bucket import Bucket
from orchord.object_stores.gcs import gcs_settings
from orchord.object_stores.s3 import s3_settings
from orchord.object_stores.settings import StoreSettings

SECRET = "hush-hush-hush"


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


class TestS3:
    @pytest.mark.parametrize(
        ("given", "endpoint", "allows_http"),
        [
            ({"endpoint_url": "http://minio:9000"}, "http://minio:9000", True),
            ({"endpoint_url": "minio:9000", "use_ssl": False}, "http://minio:9000", True),
            ({"endpoint_url": "minio:9000"}, "https://minio:9000", False),
            ({"use_ssl": False, "region": "eu-west-1"}, "http://s3.eu-west-1.amazonaws.com", True),
            ({}, None, None),
        ],
        ids=["http", "no scheme without TLS", "no scheme", "AWS without TLS", "AWS"],
    )
    def test_the_endpoint(self, given, endpoint, allows_http) -> None:
        settings = s3_settings("b", **given)
        assert settings.options.get("endpoint") == endpoint
        assert settings.client_options.get("allow_http") == allows_http

    def test_certificates_are_checked_unless_told_otherwise(self, tmp_path: Path) -> None:
        assert "allow_invalid_certificates" not in s3_settings("b").client_options
        assert "allow_invalid_certificates" not in s3_settings("b", verify=None).client_options
        assert s3_settings("b", verify=False).client_options["allow_invalid_certificates"] is True
        (tmp_path / "ca.pem").write_text("PEM")
        settings = s3_settings("b", verify_cert_path=str(tmp_path / "ca.pem"))
        assert settings.client_options["root_certificate"] == "PEM"

    def test_awss_own_files_are_read_where_nothing_else_gives_credentials(self, monkeypatch, tmp_path: Path) -> None:
        assert s3_settings("b").profile is None
        (tmp_path / "none").write_text("[default]")
        assert s3_settings("b").profile == ""
        assert s3_settings("b", access_key_id="k").profile is None
        assert s3_settings("b", unsigned=True).profile is None
        assert s3_settings("b", profile="p").profile == "p"
        monkeypatch.setenv("AWS_PROFILE", "of-the-environment")
        assert s3_settings("b").profile == "of-the-environment"

    def test_arguments_of_uploads_are_those_of_boto3(self) -> None:
        settings = s3_settings("b", upload_extra_args={"ServerSideEncryption": "AES256", "StorageClass": "STANDARD_IA"})
        assert settings.options["server_side_encryption"] == "AES256"
        assert settings.attributes == {"Storage-Class": "STANDARD_IA"}
        with pytest.raises(InvalidConfigError, match="'StorageClas' is not among them. Did you mean 'StorageClass'"):
            s3_settings("b", upload_extra_args={"StorageClas": "x"})

    def test_further_options_are_the_librarys(self) -> None:
        assert s3_settings("b", extra={"aws_request_payer": True}).options["request_payer"] is True

    def test_a_boto3_client_tells_how_to_reach_the_store(self) -> None:
        boto3 = pytest.importorskip("boto3")
        client = boto3.client(
            "s3",
            endpoint_url="http://minio:9000",
            aws_access_key_id="key",
            aws_secret_access_key=SECRET,
            region_name="eu-west-1",
        )
        options = settings_of_session(client, "b").options
        assert (options["endpoint"], options["access_key_id"], options["secret_access_key"], options["region"]) == (
            "http://minio:9000",
            "key",
            SECRET,
            "eu-west-1",
        )

    def test_what_is_no_client_is_refused(self) -> None:
        with pytest.raises(InvalidConfigError, match="resource 's3' is a dict. Give s3_resource, an S3Resource"):
            settings_of_session({}, "b")

    def test_the_client_is_made_when_it_is_used(self) -> None:
        client = S3Client(o.S3Resource(endpoint_url="http://minio:9000", region_name="x", aws_access_key_id="k"))
        assert "boto" not in type(client).__module__
        assert "_orchord_client" not in vars(client)
        with pytest.raises(AttributeError):
            client.__deepcopy__  # noqa: B018 - the question is what is tested


class TestAzure:
    def test_the_account_gives_the_url(self) -> None:
        assert azure_settings("c", storage_account="a").url == "https://a.blob.core.windows.net/c"
        government = azure_settings("c", storage_account="a", endpoint_suffix="core.usgovcloudapi.net")
        assert government.options["endpoint"] == "https://a.blob.core.usgovcloudapi.net"

    def test_keys_and_tokens_are_told_apart(self) -> None:
        assert key_or_token("abc==") == {"access_key": "abc=="}
        assert key_or_token("?sv=1&sig=abc") == {"sas_token": "?sv=1&sig=abc"}
        assert azure_settings("c", storage_account="a", sas_token="?sv=1&sig=x").options["sas_key"] == "sv=1&sig=x"

    def test_all_that_is_wrong_with_credentials_is_told_at_once(self) -> None:
        with pytest.raises(InvalidConfigError) as caught:
            azure_settings("c", storage_account="a", access_key="k", client_id="i")
        assert "an access key and a service principal are given; give one kind" in str(caught.value)
        assert "a service principal needs client_secret and tenant_id too" in str(caught.value)


class TestGCS:
    def test_credentials_may_stand_in_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InvalidConfigError, match="'GCS_KEY' is not set. Let it hold a service account's key"):
            gcs_settings("b", credentials_variable="GCS_KEY")
        monkeypatch.setenv("GCS_KEY", SECRET)
        with pytest.raises(InvalidConfigError, match="'GCS_KEY' .not shown. is no JSON object") as caught:
            gcs_settings("b", credentials_variable="GCS_KEY")
        assert SECRET not in str(caught.value)
        monkeypatch.setenv("GCS_KEY", '{"client_email": "x"}')
        assert gcs_settings("b", credentials_variable="GCS_KEY").options["service_account_key"].startswith("{")

    def test_googles_own_variable_points_at_an_emulator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:4443")
        settings = gcs_settings("b")
        assert "http://localhost:4443" in settings.options["service_account_key"]
        assert settings.client_options["allow_http"] is True


class TestSecrets:
    def test_nothing_secret_is_shown(self) -> None:
        s3 = o.S3Resource(aws_access_key_id="k", aws_secret_access_key=SECRET, aws_session_token=SECRET)
        adls2 = o.ADLS2Resource(storage_account="a", credential=o.ADLS2Key(key=SECRET))
        shown = [
            s3,
            adls2,
            o.GCSResource(service_account_key=SECRET),
            o.S3PickleIOManager(s3_resource=s3, s3_bucket="b"),
            o.PickledObjectS3IOManager("b", s3),
            S3Client(s3),
            s3_settings("b", secret_access_key=SECRET),
            S3ComputeLogManager("b", secret_access_key=SECRET).store,
            s3.get_resource_definition().config_type,
            o.s3_resource.configured({"aws_secret_access_key": SECRET}).config_type,
        ]
        assert SECRET not in repr(shown)
        assert SECRET not in str(shown)

    def test_texts_of_errors_are_rid_of_secrets_and_signed_urls(self) -> None:
        settings = azure_settings("c", storage_account="a", access_key=SECRET)
        text = f"PUT https://a.blob/c/k?sv=1&sig={SECRET} failed: {SECRET}\n\nDebug source: {SECRET}"
        assert settings.redacted(text) == "PUT https://a.blob/c/k failed: ******"


def test_each_failure_of_a_store_is_told_in_our_words(seaweedfs_bucket) -> None:
    server = seaweedfs_bucket.server

    def bucket(name: str, **changed: str) -> Bucket:
        keys = {"endpoint_url": server.url, "access_key_id": server.access_key, "secret_access_key": server.secret_key}
        return Bucket(s3_settings(name, **{**keys, **changed}, max_attempts=1))

    with pytest.raises(FileNotFoundError, match=r"Nothing is stored at s3://no-such-bucket/k, or there is no such"):
        bucket("no-such-bucket").get("k")
    wrong = bucket(seaweedfs_bucket.name, secret_access_key="wrong-secret")
    for attempt in (lambda: wrong.put("k", b"x"), lambda: wrong.get_range("k", 0, 1), lambda: _write(wrong)):
        with pytest.raises(PermissionError, match="Not allowed to .* Check the credentials") as caught:
            attempt()
        assert "wrong-secret" not in str(caught.value)
    nowhere = bucket(seaweedfs_bucket.name, endpoint_url="http://127.0.0.1:9")
    for attempt in (lambda: nowhere.put("k", b"x"), lambda: nowhere.get("k"), lambda: _write(nowhere)):
        with pytest.raises(ConnectionError, match=r"Failed to (write|read) s3://"):
            attempt()


def _write(bucket: Bucket) -> None:
    with bucket.writing("k") as writer:
        writer.write(b"x")


@pytest.mark.parametrize("endpoint", ["https://user:hush-hush@server/path", "https://server/path?sv=1&sig=hush-hush"])
@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_an_endpoint_that_holds_credentials_is_refused_without_showing_them(kind: str, endpoint: str) -> None:
    make: dict[str, Callable[[], StoreSettings]] = {
        "s3": lambda: s3_settings("b", endpoint_url=endpoint),
        "azure": lambda: azure_settings("b", storage_account="a", endpoint_url=endpoint),
        "gcs": lambda: gcs_settings("b", endpoint_url=endpoint),
    }
    with pytest.raises(InvalidConfigError, match="https://server/path, has a user or a query") as caught:
        make[kind]()
    assert "hush" not in str(caught.value)
