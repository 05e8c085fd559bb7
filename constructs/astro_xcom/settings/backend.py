"""Where Terraform keeps its state."""

import posixpath
import re
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from astro_xcom.errors import SettingError
from astro_xcom.rules import aws, azure, gcp, hcp, places
from astro_xcom.settings.base import AwsRegion, Settings, together

# What `make clean`, another target or a tool deletes or writes anew.
DELETED = (
    "cdktf.out", "dist", "site", "node_modules", "terraform/stacks",
    ".venv", ".pipenv", ".docs", ".sbom", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
    ".terraform", ".git", "__pycache__",
)  # fmt: skip
OF_THE_PROJECT = r"(?i).*\.(ya?ml|py|json|toml|lock|md|tf|cfg|ini|txt|js)|(.*/)?(Pipfile|Makefile|LICENSE|\.[^/]*)"


def local_state(value: str) -> str:
    """A file below the project's folder: none of the project's own, and in no folder that is deleted."""
    path = posixpath.normpath(value)
    name = posixpath.basename(value.replace("\\", "/").rstrip("/")).strip(".") or "terraform"
    hint = f'"states/{name.removesuffix(".tfstate")}.tfstate"'
    folder = next((each for each in DELETED if f"/{each}/" in f"/{path.lower()}/"), None)
    if not value.isprintable() or re.search(r'[\\:*?"<>|]', value):
        rule = 'must be a path with / between folders, without a drive and \\ : * ? " < > |'
        raise SettingError(rule, got=value, hint=hint)
    if value.startswith(("/", "~")) or ".." in value.split("/"):
        rule = "must be a relative path inside the project's folder; move a state that is elsewhere into it"
        raise SettingError(rule, got=value, hint=hint)
    if path == "." or value.endswith("/") or re.fullmatch(OF_THE_PROJECT, path):
        raise SettingError("must be a file that holds only the state", got=value, hint=hint)
    if folder:
        raise SettingError(f"must not be in {folder}: commands delete or rewrite that folder", got=value, hint=hint)
    return value


class Backend(Settings):
    """Where a backend keeps the state of one deployment."""

    block: ClassVar[str]
    """What `state` and Terraform call it."""
    own: ClassVar[str]
    """The field that tells deployments apart in one place."""
    default: ClassVar[str]
    """What it is when left out."""
    place: ClassVar[tuple[str, ...]] = ()
    """The fields that name the place."""
    kind: ClassVar[str | None] = None
    """What several backends have in common that can name the same place."""

    def own_name(self, deployment: str) -> str:
        """The state's own name in that place."""
        return getattr(self, self.own) or self.default.format(deployment)

    def identity(self, deployment: str) -> tuple[str, ...]:
        """Equal for two deployments that would share one state."""
        place = [str(getattr(self, field)) for field in self.place]
        return (self.kind or type(self).__name__, *place, posixpath.normpath(self.own_name(deployment)))


class LocalState(Backend):
    """A file on the machine that runs Terraform. Suitable for trying things out."""

    block = "local"
    own, default = "path", "terraform.{}.tfstate"
    path: Annotated[str, Field(min_length=1), AfterValidator(local_state)] | None = None
    """A file inside the project's folder, but not in a folder that a command deletes, such as `cdktf.out`. Git ignores
    it if its name ends with `.tfstate`. Default: `terraform.<deployment>.tfstate`."""


class S3State(Backend):
    """An S3 bucket, encrypted and locked by a lock file (Terraform 1.10+)."""

    block = "s3"
    own, default, place = "key", "astro-xcom/{}.tfstate", ("bucket",)
    bucket: Annotated[str, AfterValidator(aws.existing_s3_bucket)]
    region: AwsRegion
    key: Annotated[str, Field(min_length=1), AfterValidator(aws.state_key)] | None = None
    """Default: `astro-xcom/<deployment>.tfstate`."""
    kms_key_arn: Annotated[str, AfterValidator(aws.kms_key_arn)] | None = None

    @property
    def partition(self) -> str:
        """In which the bucket's name is unique."""
        return places.partition(self.region)

    def identity(self, deployment: str) -> tuple[str, ...]:
        """Equal for two deployments that would share one state."""
        return (self.partition, *super().identity(deployment))

    @together
    def _key_of_the_region(self) -> Iterator[str | SettingError]:
        given = {"kms_key_arn": self.kms_key_arn} if self.kms_key_arn else {}
        yield from (
            *aws.one_region(given, region=self.region),
            *aws.one_partition(given, partition=self.partition),
        )


class AzurermState(Backend):
    """A blob container, locked by a lease. Terraform reaches it with Microsoft Entra ID, not with an account key."""

    block = "azurerm"
    own, default, place = "key", "astro-xcom/{}.tfstate", ("storage_account_name", "container_name")
    storage_account_name: Annotated[str, AfterValidator(azure.existing_storage_account)]
    container_name: Annotated[str, AfterValidator(azure.existing_container)]
    resource_group_name: Annotated[str, AfterValidator(azure.existing_resource_group)] | None = None
    key: Annotated[str, Field(min_length=1)] | None = None
    """Default: `astro-xcom/<deployment>.tfstate`."""


class GcsState(Backend):
    """A Cloud Storage bucket, locked by Terraform."""

    block = "gcs"
    own, default, place = "prefix", "astro-xcom/{}", ("bucket",)
    bucket: Annotated[str, AfterValidator(gcp.existing_bucket)]
    prefix: Annotated[str, Field(min_length=1)] | None = None
    """Default: `astro-xcom/<deployment>`."""


class RemoteState(Backend):
    """A workspace of HCP Terraform or Terraform Enterprise, through the older backend `remote`."""

    block = "remote"
    own, default, place, kind = "workspace", "{}", ("hostname", "organization"), "workspace"
    organization: Annotated[str, AfterValidator(hcp.organization)]
    workspace: Annotated[str, AfterValidator(hcp.workspace)] | None = None
    """Default: the deployment's name."""
    hostname: Annotated[str, AfterValidator(hcp.hostname)] = hcp.HOSTNAME
    """The host, for Terraform Enterprise and for HCP Terraform Europe."""


class HcpState(RemoteState):
    """A workspace of HCP Terraform or Terraform Enterprise, through a `cloud` block."""

    block = "hcp"
    project: Annotated[str, AfterValidator(hcp.project)] | None = None
    """The project in which a new workspace is created. Default: the organization's default project."""


class State(Settings):
    """Exactly one backend. Default: local."""

    local: LocalState | None = None
    s3: S3State | None = None
    azurerm: AzurermState | None = None
    gcs: GcsState | None = None
    hcp: HcpState | None = None
    remote: RemoteState | None = None

    def backend(self) -> Backend:
        """The one backend."""
        given: list[Backend | None] = [backend for _, backend in self]
        return next(backend for backend in given if backend is not None)

    @together
    def _one(self) -> Iterator[str | SettingError]:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        misspelt = self.model_fields_set - type(self).model_fields.keys()
        if len(given) != 1 and not misspelt:
            yield SettingError(
                f"must name exactly one of {', '.join(type(self).model_fields)}", got=given, hint="local: {}"
            )
