"""Where Terraform keeps its state."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from astro_xcom import names
from astro_xcom.refusal import Refused
from astro_xcom.settings.base import AwsRegion, Settings


class LocalState(Settings):
    """A file on the machine that runs Terraform. Good for trying things out."""

    path: Annotated[str, Field(min_length=1)] | None = None
    """Relative to the project's folder (two above the stack's). Default: `terraform.<deployment>.tfstate`."""


class S3State(Settings):
    """An S3 bucket, encrypted and locked by a lock file (Terraform 1.10+)."""

    bucket: Annotated[str, AfterValidator(names.existing_s3_bucket)]
    region: AwsRegion
    key: Annotated[str, Field(min_length=1)] | None = None
    """Default: `astro-xcom/<deployment>.tfstate`."""
    kms_key_arn: Annotated[str, AfterValidator(names.kms_key_arn)] | None = None


class AzurermState(Settings):
    """A blob container, locked by a lease; reached with Microsoft Entra ID rather than an account key."""

    storage_account_name: Annotated[str, Field(min_length=1)]
    container_name: Annotated[str, Field(min_length=1)]
    resource_group_name: Annotated[str, Field(min_length=1)] | None = None
    key: Annotated[str, Field(min_length=1)] | None = None
    """Default: `astro-xcom/<deployment>.tfstate`."""


class GcsState(Settings):
    """A Cloud Storage bucket, locked by Terraform."""

    bucket: Annotated[str, Field(min_length=1)]
    prefix: Annotated[str, Field(min_length=1)] | None = None
    """Default: `astro-xcom/<deployment>`."""


class State(Settings):
    """Exactly one backend. Default: local."""

    local: LocalState | None = None
    s3: S3State | None = None
    azurerm: AzurermState | None = None
    gcs: GcsState | None = None

    def backend(self) -> tuple[str, Settings]:
        """The one backend's name and settings."""
        return next((name, backend) for name, backend in self if backend is not None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name, backend in self if backend is not None]
        if len(given) != 1:
            raise Refused(f"must name exactly one of {', '.join(type(self).model_fields)}", got=given, hint="local: {}")
        return self
