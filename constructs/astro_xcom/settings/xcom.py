"""How agents use the XCom backend, and the state store beside it."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from astro_xcom import xcom
from astro_xcom.errors import SettingError, at
from astro_xcom.rules import common
from astro_xcom.settings.base import Count, ObjectPath, Settings

STATE_STORE_CHART = (2, 3, 0)
COMPRESSIONS = ("zip", "gzip", "bz2", "lzma", "xz", "none")
MEANT = {"gz": "gzip", "bzip2": "bz2", "snappy": "gzip", "zstd": "gzip", "lz4": "gzip", "deflate": "gzip", "": "none"}


def _compression(value: Any) -> Any:
    """Airflow fails every write of a name it does not know, and `None` is one of those."""
    if value in COMPRESSIONS and isinstance(value, str):
        return value
    word = str(value).strip().lower() if isinstance(value, str) or value is None else ""
    meant = word if word in COMPRESSIONS else MEANT.get(word, "zip")
    missing = " (its package is not part of Airflow)" if word in ("snappy", "zstd", "lz4") else ""
    raise SettingError(f"must be one of {', '.join(COMPRESSIONS)}{missing}", got=value, hint=meant)


def _threshold(value: int) -> int:
    if value < 0:
        raise SettingError(
            "must be 0 or more bytes: below 0 values stay in the Airflow database, which tasks on remote execution "
            "agents cannot use for XComs",
            got=value,
            hint="0",
        )
    return value


Compression = Annotated[xcom.Compression, BeforeValidator(_compression)]
Threshold = Annotated[Count, AfterValidator(_threshold), Field(json_schema_extra={"minimum": 0})]


class XComSettings(Settings):
    """How agents store XComs."""

    threshold: Threshold = 0
    """Values of at least this many bytes go to object storage. 0: all values, as documented for remote execution.

    With 0, Airflow before 3.4 runs mapped tasks that should be skipped: in a branch that was not chosen, and after a
    short circuit (apache/airflow#50491), because its scheduler cannot read the decision. 1000 avoids this, except for
    long decisions (a short circuit in front of dozens of tasks). Values below 1,000 bytes then stay in Astro's
    database. The `backend` in the folder agent/ always avoids it.
    """
    backend: Annotated[str, AfterValidator(common.python_class)] = xcom.XCOM_BACKEND
    """The class that Airflow loads, as `package.module.Class`: a subclass of the default. The agents' image must
    contain it before you apply this. `branch_safe_xcom.BranchSafeXComObjectStorageBackend` is in the folder agent/."""
    compression: Annotated[xcom.Compression | None, BeforeValidator(_compression)] = None
    """zip stores without compressing (Astronomer's recommendation); gzip, bz2, lzma and xz compress; none: off.

    With any compression Airflow does not report a denied upload: the reader gets the path as its value. On Google
    Cloud, gcsfs 2026.8.2 and later then also lose uploads that were accepted. Default: zip, and none on Google Cloud.
    """
    connection_id: Annotated[str, AfterValidator(common.connection_id)] | None = None
    """Airflow connection that the XCom path names. Default: none, so that agents use the pod's own cloud identity; on
    Azure `wasb_xcom`, a connection without credentials that does the same."""
    retention_days: Annotated[Count, AfterValidator(common.retention_days), Field(json_schema_extra={"minimum": 1})] = (
        30
    )
    """XComs expire after this many days. The time must outlast the longest run with its retries and re-runs."""

    def variables(self, location: xcom.XComLocation) -> dict[str, str]:
        """The agents' environment for this storage."""
        return {
            **location.env,
            **xcom.objectstorage_variables(
                xcom.XCOM_VARIABLES,
                url=location.url,
                threshold=self.threshold,
                compression=self.compression or location.compression,
            ),
        }


class StateStoreSettings(Settings):
    """Where agents on Astro Runtime 3.3+ keep task and asset state: in the same storage, without expiry."""

    path: ObjectPath
    """Folder in the bucket or container. It must not contain the XCom path or be inside it."""
    threshold: Threshold = 0
    """Values of at least this many bytes go to object storage."""
    compression: Compression = "none"
    """As for XComs; none by default, so that a denied upload is an error."""

    def variables(self, location: xcom.XComLocation) -> dict[str, str]:
        """The agents' environment for this state store."""
        if location.state_store_url is None:
            raise ValueError("the storage was created without a state store path: set state_store_path")
        return xcom.objectstorage_variables(
            xcom.STATE_STORE_VARIABLES,
            url=location.state_store_url,
            threshold=self.threshold,
            compression=self.compression,
        )


def check_state_store(xcom_path: str, state_store: StateStoreSettings | None, chart_version: str) -> None:
    """Refuse a state store that would expire with the XComs, or that the chart does not know."""
    if state_store is None:
        return
    with at("state_store.path"):
        common.separate_paths(xcom_path, state_store.path)
    if common.version_key(chart_version) < STATE_STORE_CHART:
        raise SettingError(
            "must be 2.3.0 or later to use state_store", got=chart_version, hint='"2.3.3"', field="agent.chart_version"
        )
