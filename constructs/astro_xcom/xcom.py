"""XCom settings -> environment variables of the agents. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Cloud = Literal["aws", "azure", "gcp"]
CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp")

XCOM_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
BRANCH_SAFE = "branch_safe_xcom.BranchSafeXComObjectStorageBackend"
"""The file is agent/branch_safe_xcom.py."""
STATE_STORE_BACKEND = "airflow.providers.common.io.state_store.backend.StateStoreObjectStorageBackend"

# Whoever writes these by hand gets a name wrong sooner or later, and Airflow ignores a wrong name without a word.
XCOM_VARIABLES = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
STATE_STORE_VARIABLES = "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_"

Compression = Literal["zip", "gzip", "bz2", "lzma", "xz", "none"]

LONGEST_RECOVERY_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class XComLocation:
    """Where agents keep XComs (and, if there is one, their state store), as Airflow writes it."""

    url: str
    state_store_url: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """More variables this storage needs, such as an Airflow connection."""
    compression: Compression = "zip"
    """What is safe here, for settings that do not say."""
    cloud: Cloud | None = None
    """Whose storage it is: agents may then not set variables that its clients read first. Default: of no cloud."""


@dataclass(frozen=True, kw_only=True)
class PodIdentity:
    """What marks the agents' pods and service accounts as holders of a cloud identity."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    holder: str = ""
    """What the cloud calls the identity; empty where pods have none but their own."""


def object_url(scheme: str, bucket: str, path: str, *, connection_id: str | None = None) -> str:
    """`s3://connection@bucket/path`; without a connection id the cloud client's own credential chain is used."""
    user = f"{connection_id}@" if connection_id else ""
    return f"{scheme}://{user}{bucket}/{path}".rstrip("/")


def objectstorage_variables(prefix: str, *, url: str, threshold: int, compression: Compression) -> dict[str, str]:
    """The three variables of a common.io object-storage backend; compression `none` leaves its variable out.

    Airflow reads the literal text "None" as an algorithm's name and then fails every write.
    """
    variables = {f"{prefix}PATH": url, f"{prefix}THRESHOLD": str(threshold)}
    return variables if compression == "none" else {**variables, f"{prefix}COMPRESSION": compression}


def recovery_days(retention_days: int) -> int:
    """How long a deleted or overwritten value can be restored: a week, or less where values live shorter."""
    return min(retention_days, LONGEST_RECOVERY_DAYS)
