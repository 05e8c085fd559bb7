"""Environment variables that would undo what this project sets. Pure.

What a table here names is asked of every environment of the chart's values: a later entry of the same name wins, and
client libraries read variables before they ask for the identity of the pod.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from astro_xcom.kubernetes import variables
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_VARIABLES, Cloud

GCSFS = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
"""Without it gcsfs first asks another API what kind of bucket this is; where that cannot be reached, each operation
waits for half a minute or more."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """Variables that a library reads before, or instead of, what this project sets."""

    names: tuple[str, ...]
    """`*` stands for any text."""
    cloud: Cloud | None
    """Where XComs are, if it matters."""
    library: str
    does: str
    source: str
    refused: bool = True
    """False: there are good uses, so it is a warning."""

    def matches(self, name: str) -> bool:
        """Whether it is about a variable."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


NAMES: dict[Cloud, str] = {"aws": "AWS", "azure": "Azure", "gcp": "Google Cloud"}
WEBHOOK = "the webhook adds the identity only to containers that do not set it"
OVERRIDES = (
    Override(
        cloud="aws",
        names=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        library="botocore",
        does="it uses them instead of the role",
        source="botocore/credentials.py, create_credential_resolver: EnvProvider comes first",
    ),
    Override(
        cloud="aws",
        names=("AWS_ROLE_ARN", "AWS_IAM_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        library="amazon-eks-pod-identity-webhook",
        does=WEBHOOK,
        source="pkg/handler/handler.go, addEnvToContainer: reservedKeys",
    ),
    Override(
        cloud="aws",
        names=("AWS_CONTAINER_CREDENTIALS_*", "AWS_CONTAINER_AUTHORIZATION_TOKEN*"),
        library="amazon-eks-pod-identity-webhook",
        does="they name another source of credentials",
        source="botocore/credentials.py, ContainerProvider",
    ),
    Override(
        cloud="aws",
        names=("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
        library="botocore",
        does="it uses a profile instead of the role, and fails where there is none",
        source="botocore/configprovider.py: profile",
    ),
    Override(
        cloud="aws",
        names=("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        library="botocore",
        does="a default profile there that assumes a role is used instead of the role",
        source="botocore/credentials.py: AssumeRoleProvider comes before the web identity",
        refused=False,
    ),
    Override(
        cloud="aws",
        names=("AWS_ENDPOINT_URL",),
        library="botocore",
        does="every call, for objects and for credentials, goes to that one address",
        source="AWS SDKs and Tools Reference Guide, Service-specific endpoints",
    ),
    Override(
        cloud="aws",
        names=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"),
        library="botocore",
        does="XComs, or the exchange of tokens, go to that address: right only for an endpoint of your VPC",
        source="AWS SDKs and Tools Reference Guide, Service-specific endpoints",
        refused=False,
    ),
    Override(
        cloud="azure",
        names=("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"),
        library="azure-workload-identity",
        does=WEBHOOK,
        source="pkg/webhook/webhook.go, addEnvironmentVariables",
    ),
    Override(
        cloud="azure",
        names=("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_*", "AZURE_USERNAME", "AZURE_PASSWORD"),
        library="azure-identity",
        does="it signs in with them before it tries the workload identity",
        source="azure/identity/_credentials/default.py: EnvironmentCredential comes first",
    ),
    Override(
        cloud="azure",
        names=("AZURE_TOKEN_CREDENTIALS",),
        library="azure-identity",
        does="it tries other credentials than the workload identity",
        source="azure/identity/_credentials/default.py",
    ),
    Override(
        cloud="azure",
        names=("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"),
        library="azure-identity",
        does="it asks that address for tokens",
        source="azure/identity/_constants.py, EnvironmentVariables",
    ),
    Override(
        cloud="azure",
        names=("AZURE_STORAGE_*",),
        library="adlfs",
        does="it fills in account and credentials that the connection leaves out, a connection string before all",
        source="adlfs/spec.py, AzureBlobFileSystem.__init__",
    ),
    Override(
        cloud="gcp",
        names=("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS"),
        library="google-auth",
        does="it uses that file instead of the service account",
        source="google/auth/_default.py, default: explicit environ credentials come first",
    ),
    Override(
        cloud="gcp",
        names=("CLOUDSDK_CONFIG", "CLOUDSDK_ACTIVE_CONFIG_NAME", "CLOUDSDK_AUTH_*"),
        library="google-auth",
        does="it uses the credentials of gcloud instead of the service account",
        source="google/auth/_default.py, default: those of the Cloud SDK come before the metadata server",
    ),
    Override(
        cloud="gcp",
        names=("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT", "NO_GCE_CHECK"),
        library="google-auth",
        does="it asks another address for tokens, or none",
        source="google/auth/environment_vars.py",
    ),
    Override(
        cloud="gcp",
        names=("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"),
        library="gcsfs",
        does="XComs go to that address",
        source="gcsfs/core.py, _location",
    ),
    Override(
        cloud=None,
        names=("FSSPEC_*",),
        library="fsspec",
        does="it gives keys, tokens and addresses to the storage client",
        source="fsspec/config.py, set_conf_env",
    ),
)

OWNED: dict[str, tuple[Cloud | None, str]] = {
    f"{STATE_STORE_VARIABLES}*": (None, "state_store"),
    f"{XCOM_VARIABLES}*": (None, "storage and xcom"),
    "AIRFLOW__COMMON_IO__*": (None, "storage and xcom"),
    "AIRFLOW__CORE__XCOM_BACKEND*": (None, "storage and xcom"),
    "AIRFLOW__WORKERS__STATE_STORE_BACKEND*": (None, "state_store"),
    **dict.fromkeys(GCSFS, ("gcp", "storage")),
}
"""Variables that this project, or the chart for it, sets -> the cloud, if only there, and the settings they come from.

`*`: Airflow also reads an option from the output of a command (`_CMD`) and from its secrets backend (`_SECRET`).
"""

COMPARED = (
    *(
        f"{front}{last}"
        for front in (XCOM_VARIABLES, STATE_STORE_VARIABLES)
        for last in ("PATH", "THRESHOLD", "COMPRESSION")
    ),
    "AIRFLOW__CORE__XCOM_BACKEND",
    *GCSFS,
)
"""Those of Astronomer's page: in `commonEnv` they may say the same as the settings (vendor_values.py)."""


def overridden(values: Mapping[str, Any], cloud: Cloud | None, owned: Mapping[str, str] | None = None) -> Iterator[str]:
    """A line for each variable of the values that must not be set where XComs are in this cloud.

    Without a cloud: what must be set in none. `owned`: more variables that this project sets -> their settings.
    """
    for where, name, _ in variables(values):
        setting = (owned or {}).get(name) or _setting(name, cloud)
        if setting and where.startswith("commonEnv[") and name in (*COMPARED, *(owned or {})):
            continue
        if setting:
            yield f"{where}: is set from {setting} in the settings; remove it here"
            continue
        for override in _overrides(name, cloud, refused=True):
            yield (
                f"{where}: must not be set: {override.library}: {override.does}; remove it here, and give tasks that "
                "need it an Airflow connection of their own"
            )


def doubtful(values: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    """A line for each variable that may be set and may undo what this project sets."""
    for where, name, _ in variables(values):
        for override in _overrides(name, cloud, refused=False):
            yield f"{where}: {override.library}: {override.does}"


def clouds_of(name: str) -> list[Cloud]:
    """The clouds where a variable must not be set."""
    return [override.cloud for override in OVERRIDES if override.cloud and override.refused and override.matches(name)]


def _overrides(name: str, cloud: Cloud | None, *, refused: bool) -> Iterator[Override]:
    for override in OVERRIDES:
        if override.refused is refused and override.cloud in (None, cloud) and override.matches(name):
            yield override


def _setting(name: str, cloud: Cloud | None) -> str | None:
    found = (text for pattern, (only, text) in OWNED.items() if only in (None, cloud) and fnmatchcase(name, pattern))
    return next(found, None)
