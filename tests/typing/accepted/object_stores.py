"""Values on object stores: secrets are given as text or as EnvVars, resources as resources or definitions."""

from pathlib import Path

import orchord as o

s3 = o.S3Resource(endpoint_url="http://minio:9000", aws_access_key_id="key", aws_secret_access_key=o.EnvVar("SECRET"))
by_text = o.S3Resource(aws_access_key_id="key", aws_secret_access_key="secret")
on_s3 = o.S3PickleIOManager(s3_resource=s3, s3_bucket="values", s3_prefix="numbers")
adls2 = o.ADLS2Resource(storage_account="acme", credential=o.ADLS2Key(key="key"))
on_azure = o.ADLS2PickleIOManager(adls2=adls2, adls2_file_system="values")
on_google = o.GCSPickleIOManager(gcs=o.GCSResource(project="acme"), gcs_bucket="values")


class Texts(o.UPathIOManager):
    extension = ".txt"

    def dump_to_path(self, context: o.OutputContext, obj: str, path: object) -> None:
        Path(str(path)).write_text(obj)

    def load_from_path(self, context: o.InputContext, path: object) -> str:
        return Path(str(path)).read_text()


defs = o.Definitions(
    resources={
        "io_manager": o.s3_pickle_io_manager.configured({"s3_bucket": "values"}),
        "s3": o.s3_resource.configured({"endpoint_url": "http://minio:9000", "use_ssl": False}),
        "texts": Texts("folder"),
        "azure": on_azure,
        "google": on_google,
    },
)
