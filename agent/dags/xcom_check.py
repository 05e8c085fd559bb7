"""Shows that XComs work on this deployment, or says why not: run it once after each change of storage or identity.

A green task proves nothing about XComs: with compression on, Airflow reports a refused upload to nobody, and the next
task receives the value's path as its value. So a second task, which may run on another worker, compares the values.
It also reads what the run before this one pushed, uses the state store where there is one, and lets a branch skip a
mapped task.

Needs nothing but Airflow 3.2 or later. It leaves a few objects (about 10 MB for each queue) under the XCom path, which
expire like all others.
"""

import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, NamedTuple

from airflow.sdk import TaskGroup, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

QUEUES = [*filter(None, map(str.strip, os.environ.get("XCOM_CHECK_QUEUES", "").split(",")))] or ["default"]
"""The `queues` of all workers to check, each of which reads what every other one wrote. Name them here, or in this
variable of the dag processor and of the workers: default,heavy."""

LONGEST = timedelta(minutes=15)
"""Of one task. Some clients try for minutes, and an anonymous client on Azure endlessly."""

# ----- from here on the same as in astro-xcom's probe: do not change it here -----


class Cause(NamedTuple):
    """What is wrong, and what mends it."""

    says: str
    remedy: str
    marks: tuple[str, ...] = ()
    """Any of them in a client's error tells it. Without marks it is found by reading back."""
    scheme: str = ""
    """s3, abfs or gs; by default all."""
    inner: bool = False
    """Whether the mark may stand in what caused the error: clients hide a network's word behind their own."""


MARKS = {
    "s3": "annotation eks.amazonaws.com/role-arn, or the EKS Pod Identity association, of its service account",
    "abfs": "label azure.workload.identity/use of the pod, or the annotation azure.workload.identity/client-id of its "
    "service account,",
    "gs": "metadata server of its node",
}
"""What makes the cloud give a pod its identity."""
CAUSES = {
    "compression": Cause(
        "COMPRESSION is not one of zip, gzip, bz2, lzma, xz",
        "`xcom.compression: none` leaves the variable out; do not set it by hand",
        ("is not supported. Make sure it is installed",),
    ),
    "not allowed class": Cause(
        "this worker may not read a value of that class",
        "add the class to AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES of every agent",
        ("was not found in allow list",),
    ),
    "package": Cause(
        "the agents' image lacks a package",
        "build it with requirements-<cloud>.txt, and with what your values need, such as pandas",
        ("No module named", "ImportError: ", "not installed", "Install ", "object could not be loaded"),
    ),
    "connection": Cause(
        "the XCom path names an Airflow connection that this worker does not know",
        "create the connection, or leave `xcom.connection_id` out",
        ("isn't defined",),
    ),
    "azure connection": Cause(
        "the Airflow connection in the XCom path is missing, or its `extra` is not valid JSON or lacks account_name",
        "leave `AIRFLOW_CONN_WASB_XCOM` to this project",
        ("Must provide either a connection_string or account_name",),
        "abfs",
    ),
    "no token": Cause(
        "the pod has no identity: the {mark} is missing, or the pod is older than it",
        "keep `labels` and `annotations` as the output agent_values has them, then restart the agents",
        ("NoCredentials", "token_file_path"),
    ),
    "no metadata": Cause(
        "the pod has no identity: no metadata server gives it one",
        "switch workload identity on for the cluster and for the agents' node pool, let network policies lead to "
        "169.254.169.254 and 169.254.169.252, and leave `anon` out of a connection; then restart the agents",
        ("default credentials were not found", "nonymous"),
        "gs",
    ),
    "pod itself": Cause(
        "Google sees the pod as its Kubernetes service account, which may not do this itself",
        "make that service account as *Service accounts* of `astro-xcom check` tells, then restart the agents; with "
        "`identity.mechanism: direct` it must be among the trusted, and the deployment applied",
        ("svc.id.goog[", "svc.id.goog/subject/", "svc.id.goog does not have"),
        "gs",
    ),
    "proxy": Cause(
        "a proxy refuses the connection, or does not answer",
        "give the agents the proxy's address, and the storage's and the token service's hosts in NO_PROXY where they "
        "are reached directly",
        (
            "ProxyConnectionError",
            "ProxyError",
            "HttpProxyError",
            "Proxy Authentication Required",
            "Tunnel connection failed",
            "onnect to proxy",
        ),
        inner=True,
    ),
    "dns": Cause(
        "the name of the storage or of the token service has no address here",
        "see whether the account or bucket exists; with a private endpoint its DNS zone must be linked to the agents' "
        "network",
        (
            "Name or service not known",
            "name resolution",
            "No address associated",
            "getaddrinfo failed",
            "NameResolutionError",
            "nodename nor servname",
            "Domain name not found",
            "DNSError",
        ),
        inner=True,
    ),
    "tls": Cause(
        "the certificate is not trusted",
        "something on the way inspects TLS: put its authority into the agents' image (SSL_CERT_FILE, "
        "REQUESTS_CA_BUNDLE, AWS_CA_BUNDLE)",
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "SSLError", "SSL validation failed"),
        inner=True,
    ),
    "scp": Cause(
        "a service control policy of the AWS organization refuses it",
        "ask the owner of the organization's policies to except the agents' role",
        ("service control policy",),
        "s3",
    ),
    "rcp": Cause(
        "a resource control policy of the AWS organization refuses it",
        "ask the owner of the organization's policies to let the agents' role use this bucket and key",
        ("resource control policy",),
        "s3",
    ),
    "endpoint policy": Cause(
        "the policy of the VPC endpoint refuses it",
        "let the endpoint's policy allow the agents' role this bucket (and S3, STS or KMS, whichever is named)",
        ("VPC endpoint policy",),
        "s3",
    ),
    "boundary": Cause(
        "the permissions boundary of the role refuses it",
        "`identity.permissions_boundary` must name a policy that allows what `astro-xcom check` lists",
        ("permissions boundary",),
        "s3",
    ),
    "session policy": Cause(
        "a session policy refuses it",
        "the agents assume their role without one: look for credentials other than the webhook's in the pod",
        ("session policy",),
        "s3",
    ),
    "service controls": Cause(
        "a perimeter of VPC Service Controls refuses it",
        "let the perimeter's ingress rules admit the agents' project and service account, or put both projects into it",
        ("vpcServiceControls", "prohibited by organization's policy", "SECURITY_POLICY_VIOLATED"),
        "gs",
    ),
    "organization policy": Cause(
        "a constraint of the organization refuses it",
        "its owner excepts the bucket's project, or you set what it asks for",
        ("constraints/", "orgPolicyConstraint"),
        "gs",
    ),
    "network rules": Cause(
        "the network rules of the storage account do not let this pod in",
        "add the agents' subnets to `storage.network`, or use a private endpoint with its DNS zone",
        ("AuthorizationFailure", "PublicNetworkAccess", "IpAuthorizationError"),
        "abfs",
    ),
    "no provider": Cause(
        "the AWS account has no OIDC provider for this cluster",
        "create it (IAM, identity providers), for the issuer of the cluster that the agents really run in",
        ("No OpenIDConnect provider found",),
        "s3",
    ),
    "audience": Cause(
        "the token of the pod is for another audience than the cloud's identity trusts",
        "on AWS the OIDC provider lists sts.amazonaws.com; on Azure `identity.audience` is what the webhook asks for",
        ("Incorrect token audience", "AADSTS700212"),
    ),
    "issuer unreachable": Cause(
        "AWS cannot fetch the keys of this cluster's issuer",
        "the issuer must be public, and be that of a cluster that exists",
        ("Couldn't retrieve verification key", "IDPCommunicationError"),
        "s3",
    ),
    "token expired": Cause(
        "the token of the pod has expired",
        "restart the agents; if it comes back, look at the clock of the node",
        ("ExpiredToken", "Token expired", "token included in the request is expired", "AADSTS700024"),
    ),
    "other cluster": Cause(
        "no credential of the identity is for this cluster's issuer",
        "the agents run in another cluster than `cluster` and `trusted_clusters` name, or the issuer lacks its "
        "closing `/`",
        ("AADSTS700211",),
        "abfs",
    ),
    "identity gone": Cause(
        "the cloud's identity does not exist any more, or is in another tenant",
        "apply the deployment again, then restart the agents",
        (
            "AADSTS700016",
            "AADSTS7000229",
            "AADSTS90002",
            "Gaia id not found",
            "IAM returned 404",
            "Unknown service account",
        ),
    ),
    "not trusted": Cause(
        "the cloud's identity does not trust this pod's service account, namespace or cluster",
        "pipe `terraform show -json` into `astro-xcom check NAME --state -`: it names the difference. On AWS a role "
        "that was deleted says the same. After an apply wait ten minutes",
        ("AssumeRoleWithWebIdentity", "AADSTS", "Invalid Credentials", "iam.serviceAccounts.getAccessToken"),
    ),
    "key of another region": Cause(
        "the key is in another region than the bucket, or its ARN is none",
        "`storage.kms_key_arn` must name a key of the bucket's region",
        ("Invalid arn", "cloudKmsKeyLocationNotAllowed", "KMS key location not allowed"),
    ),
    "key unusable": Cause(
        "the key of the storage is disabled or waits for its deletion: no value can be written or read",
        "its owner cancels the deletion and enables it, before the values are lost for good",
        (
            "pending deletion",
            "KMSInvalidState",
            "KMS.Disabled",
            "is not enabled, current state is",
            "cloudKmsDisabledKey",
            "disabled, destroyed, or scheduled",
            "KeyVaultKeyDisabled",
        ),
    ),
    "key gone": Cause(
        "the key of the storage does not exist",
        "if it was deleted, its values are lost: give the storage another key. Else compare ARN, region and account",
        (
            "KMS.NotFound",
            "NotFoundException: Key",
            "CryptoKeyNotFound",
            "cloudKmsEncryptionKeyNotFound",
            "cloudKmsDecryptionKeyNotFound",
            "KeyVaultEncryptionKeyNotFound",
            "KeyVaultKeyNotFound",
        ),
    ),
    "service agent": Cause(
        "Cloud Storage itself may not use the key of the bucket",
        "grant the project's Cloud Storage service agent roles/cloudkms.cryptoKeyEncrypterDecrypter on the key; with "
        "`storage.grant_kms_key: false` its owner does",
        ("Permission denied on Cloud KMS key", "kmsPermissionDenied"),
        "gs",
    ),
    "key vault": Cause(
        "the storage account may not use its key",
        "the account's own identity needs the key vault's role for it, and the vault's network must let it in",
        ("KeyVault",),
        "abfs",
    ),
    "region": Cause(
        "the bucket is in another region than the agents are told",
        "`region` must be that of the bucket, also where it exists already",
        (
            "PermanentRedirect",
            "must be addressed using the specified endpoint",
            "is wrong; expecting",
            "Moved Permanently",
            "IllegalLocationConstraint",
            "AuthorizationHeaderMalformed",
        ),
        "s3",
    ),
    "billing": Cause(
        "the project of the bucket has no billing account",
        "its owner enables billing",
        ("billing account", "accountDisabled"),
        "gs",
    ),
    "no bucket role": Cause(
        "the bucket does not exist, or the service account lacks roles/storage.legacyBucketReader, without which an "
        "empty bucket looks missing",
        "compare the name; grant that role on the bucket, as this project does",
        ("storage.buckets.", "The specified bucket does not exist"),
        "gs",
    ),
    "no bucket": Cause(
        "the bucket does not exist, or may not be listed",
        "compare the name; grant ListBucket without a condition on a prefix, and never CreateBucket",
        ("CreateBucket", "NoSuchBucket", "The specified bucket does not exist"),
        "s3",
    ),
    "no container": Cause(
        "the container does not exist",
        "compare `storage.container` with the XCom path; apply the deployment",
        ("ContainerNotFound", "container does not exist"),
        "abfs",
    ),
    "bucket policy": Cause(
        "a policy of the bucket or of its key refuses it",
        "its owner lets the agents' role do what `astro-xcom check` lists, over TLS 1.2 or later",
        ("in a resource-based policy", "no resource-based policy allows"),
        "s3",
    ),
    "zip": Cause(
        "its object cannot be read, and zip hides why: most often the identity may not decrypt with the key of the "
        "bucket (on AWS kms:Decrypt)",
        "grant kms:Decrypt; with `xcom.compression: gzip` or `none` the real error shows",
        ("BadZipFile",),
    ),
    "key": Cause(
        "the identity may not use the key of the bucket",
        "`storage.kms_key_arn` names the key; its key policy, which is its owner's, must let IAM decide",
        ("kms:", "KMS"),
    ),
    "anonymous": Cause(
        "the client is anonymous: the {mark} is missing, or `anon` is set in its connection",
        "keep `labels`, `annotations` and `anon` as the output agent_values has them, then restart the agents",
        ("nonymous", "PublicAccessNotPermitted", "NoAuthenticationInformation"),
    ),
    "network": Cause(
        "nothing answers: the network does not lead to the storage or to the token service",
        "let the agents' network, firewall and network policies reach both, or give them a private endpoint",
        (
            "Could not connect to the endpoint",
            "Cannot connect to host",
            "onnect timeout",
            "Read timeout",
            "Connection refused",
            "Connection reset",
            "Network is unreachable",
            "No route to host",
            "ConnectTimeout",
            "ServiceRequestError",
            "Max retries exceeded",
            "Metadata server unavailable",
        ),
        inner=True,
    ),
    "no credential": Cause(
        "no credential gives the pod a token: most often the {mark} is missing, or the pod is older than it",
        "keep `labels` and `annotations` as the output agent_values has them, then restart the agents",
        ("IdentityCredential", "DefaultAzureCredential"),
        "abfs",
    ),
    "permission": Cause(
        "the identity may not do this below this path",
        "compare the XCom path with *Identity* of `astro-xcom check`; an existing role needs the output "
        "`access_policy`, an existing identity `access`",
        ("Forbidden", "ermission", "not authorized", "enied"),
    ),
    "no answer": Cause(
        "the network does not lead to the storage, or the client is anonymous and asks endlessly (no {mark})",
        "see whether a pod of that network reaches storage and token service; restart the agents",
    ),
    "other path": Cause(
        "it was pushed below another path than this worker's",
        "the XCom path was changed, or workers have different ones: change it back, or give all agents of every "
        "cluster the same values",
    ),
    "expired": Cause(
        "its object was there and is gone: it expired (retention too short?) or was deleted",
        "a larger `xcom.retention_days`; run the writing task again",
    ),
    "never stored": Cause(
        "its object never appeared: the upload was refused, or cut off when the task ended",
        "gcsfs 2026.8.2 and later cut compressed uploads off: `xcom.compression: none`",
    ),
    "undecodable": Cause(
        "its object is whole, but this worker cannot decode it: its Airflow, or a package such as pandas, is older "
        "than the writer's, or missing",
        "give all agents of the deployment, in every cluster, the same image",
    ),
    "branch": Cause(
        "a mapped task ran though a branch had not chosen it: before Airflow 3.4 the scheduler cannot read what a "
        "branch or a short circuit decided when that is in the storage",
        "`xcom.threshold: 1000`, or `xcom.backend: branch_safe_xcom.BranchSafeXComObjectStorageBackend`; if none of "
        "your DAGs has a mapped task there, nothing else is wrong",
    ),
    "no suffix": Cause(
        "its object is compressed but its name has no compression suffix, so it is read as it is",
        "leave names and objects below the path to Airflow",
    ),
    "no json": Cause(
        "its object holds no JSON: something else wrote it",
        "leave names and objects below the path to Airflow",
    ),
}
"""The order counts: the first with a mark in the error, of this scheme, is its cause."""


def text_of(error: object) -> str:
    """An error, and what caused it."""
    found: list[str] = []
    while isinstance(error, BaseException) and len(found) < 6:
        found.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " <- ".join(found) if found else str(error)


def named(error: object, scheme: str) -> Cause | None:
    """The cause of a client's error, where the table has it."""
    whole = text_of(error)
    first = whole.partition(" <- ")[0]
    for cause in CAUSES.values():
        if cause.scheme in ("", scheme) and any(mark in (whole if cause.inner else first) for mark in cause.marks):
            return cause
    return None


def said(cause: Cause, scheme: str) -> str:
    """A cause as a sentence."""
    return f"{cause.says.format(mark=MARKS.get(scheme, 'identity'))}: {cause.remedy}"


def cause(error: object, scheme: str) -> str:
    """An error in the words of the deployment."""
    found = named(error, scheme)
    text = text_of(error)
    return f"{said(found, scheme)} ({text[:400]})" if found else text[:600]


SECTION = "common.io"
BACKEND = "XComObjectStorageBackend"
COMPRESSIONS = ("", "zip", "gzip", "bz2", "lzma", "xz")
SUFFIXES = (".zip", ".gz", ".bz2", ".lzma", ".xz")
MAGIC = {b"PK": "zip", b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"]\x00": "lzma"}
IDENTITY: dict[str, tuple[tuple[str, ...], ...]] = {
    "s3": (
        ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ),
    "abfs": (("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"),),
    "gs": (),
}
"""What the cloud's webhook puts into a pod, one of these (the second on AWS is EKS Pod Identity's); on GKE the metadata
server is asked instead."""
LARGEST = "0123456789" * 500_000
STATE_PATH = f"{SECTION}.state_store_objectstorage_path"
STATE = {"cursor": 7, "unicode": "grüße"}
"""What is kept in the state store, where there is one."""


def values() -> dict[str, Any]:
    """What is pushed, by XCom key. The same in every task."""
    return {
        "empty": "",
        "number": 0,
        "truth": False,
        "unicode": "grüße, 世界 🚀 \\ \" '",
        "nested": {"rows": [1, 2.5, True, None, {"deep": ["x"] * 3}], "": {}},
        "path": "s3://not-a-path/of-this-deployment",
        "kilobyte": "x" * 1_000,
        "megabytes": LARGEST,
    }


def setting(name: str, default: str = "") -> str:
    """Of this worker's Airflow, `core.xcom_backend` for example."""
    from airflow.sdk.configuration import conf

    section, _, key = name.rpartition(".")
    return str(conf.get(section, key, fallback=default))


def base_path() -> str:
    """Where this worker keeps XComs."""
    return setting(f"{SECTION}.xcom_objectstorage_path")


def scheme() -> str:
    """s3, abfs or gs."""
    return base_path().partition(":")[0]


def asked() -> str:
    """The storage that this worker's client asks, which an Airflow connection may choose."""
    from airflow.sdk import ObjectStoragePath

    account = getattr(ObjectStoragePath(base_path()).fs, "account_name", None)
    return f"{base_path()} of the storage account {account}" if account else base_path()


def keeps_state() -> bool:
    """Whether this worker has a state store: there is none before Airflow 3.3."""
    return bool(setting(STATE_PATH)) and find_spec("airflow.sdk.state") is not None


def wrong_settings() -> list[str]:
    """What in this worker's environment keeps values out of the storage, or makes each write fail."""
    from airflow.sdk.execution_time.xcom import resolve_xcom_backend

    found = []
    if BACKEND not in (base.__name__ for base in resolve_xcom_backend().__mro__):
        found.append(
            f"AIRFLOW__CORE__XCOM_BACKEND is {setting('core.xcom_backend')!r}, which is no {BACKEND}: values stay in "
            "Airflow's database; set xcomBackend"
        )
    if "://" not in base_path():
        found.append(f"XCOM_OBJECTSTORAGE_PATH is {base_path()!r}: it must be the URL of a folder")
    threshold = setting(f"{SECTION}.xcom_objectstorage_threshold", "-1")
    if not threshold.isdigit() or int(threshold) > len(LARGEST):
        found.append(f"XCOM_OBJECTSTORAGE_THRESHOLD is {threshold!r}: values stay in Airflow's database; set '0'")
    compression = setting(f"{SECTION}.xcom_objectstorage_compression")
    if compression not in COMPRESSIONS:
        found.append(f"XCOM_OBJECTSTORAGE_COMPRESSION is {compression!r}: must be one of {', '.join(COMPRESSIONS[1:])}")
    if keeps_state() and not setting("workers.state_store_backend"):
        found.append("AIRFLOW__WORKERS__STATE_STORE_BACKEND is not set: state stays in Airflow's database; set "
                     "stateStoreBackend")  # fmt: skip
    missing = [[name for name in way if not os.environ.get(name)] for way in IDENTITY.get(scheme(), ())]
    if missing and all(missing):
        fewest = min(missing, key=len)
        found.append(f"{' and '.join(fewest)} missing: {said(CAUSES['no token'], scheme())}")
    return found


@contextmanager
def unreported() -> Iterator[list[str]]:
    """Collects the errors that Python can only print, such as that of an upload that fails when its file is closed."""
    found: list[str] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda event: found.append(text_of(event.exc_value))
    try:
        yield found
        gc.collect()  # a file that is still open fails when it is closed
    finally:
        sys.unraisablehook = before


def is_path(value: Any) -> bool:
    """Whether a value looks like what Airflow keeps in its database instead of a value."""
    return isinstance(value, str) and value.partition("://")[0] in IDENTITY and value not in values().values()


def reason(error: BaseException) -> BaseException:
    """An error, or one that says more: S3 gives no reason to whoever asks for the head of an object."""
    from airflow.sdk import ObjectStoragePath

    if scheme() != "s3" or not str(error).strip().endswith(("Forbidden", "Moved Permanently")):
        return error
    folder = ObjectStoragePath(base_path())
    folder.fs.invalidate_cache()
    for call, where in ((folder.fs.ls, folder.path), (folder.fs.cat_file, f"{folder.path}/reason")):
        try:
            call(where)
        except FileNotFoundError:
            continue
        except Exception as told:
            if str(told) and str(told) != str(error):
                return told
    return error


def why_a_path(path: str, *, seen: bool) -> str:
    """Why Airflow gives the path instead of the value. `seen`: whether the value was read since it was pushed."""
    from airflow.sdk import ObjectStoragePath
    from airflow.utils.json import XComDecoder

    if not path.startswith(base_path().rstrip("/") + "/"):
        return f"{said(CAUSES['other path'], scheme())} ({base_path()})"
    try:
        if not ObjectStoragePath(path).exists():
            return said(CAUSES["expired" if seen else "never stored"], scheme())
        with ObjectStoragePath(path).open("rb", compression=None) as file:
            start = file.read(8)
        packed = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
        if packed and not path.endswith(SUFFIXES):  # before Airflow 3.4 a name is <uuid4>.gz, since then <key>.json.gz
            return f"{said(CAUSES['no suffix'], scheme())} ({packed})"
        with ObjectStoragePath(path).open("rb", compression="infer") as file:
            content = file.read()
    except Exception as error:
        return f"its object cannot be read: {cause(reason(error), scheme())}"
    try:
        json.loads(content)
    except ValueError:
        return f"{said(CAUSES['no json'], scheme())} (it starts with {start!r})"
    try:
        json.loads(content, cls=XComDecoder)
    except Exception as error:
        return f"{said(CAUSES['undecodable'], scheme())} ({text_of(error)[:400]})"
    return f"its object holds a value of another kind (it starts with {start!r})"


def problem(name: str, got: Any, expected: Any, *, seen: bool) -> str | None:
    """What is wrong with a value that was pulled, if anything."""
    if got == expected and type(got) is type(expected):
        return None
    if got is None:
        return f"{name}: nothing came back: the push did not happen, or its XCom was deleted"
    if is_path(got):
        return f"{name}: its path came back instead of the value: {why_a_path(got, seen=seen)}; path {got}"
    return f"{name}: another value came back: {str(got)[:80]!r} instead of {str(expected)[:80]!r}"


# ----- until here -----


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collects what is wrong, and ends the task with all of it, also when its time is up."""
    problems: list[str] = []
    try:
        yield problems
    except AirflowTaskTimeout:
        problems.append(f"no answer within {LONGEST}: {said(CAUSES['no answer'], scheme())}")
    if problems:
        raise AirflowFailException("XComs do not work here:\n" + "\n".join(f"- {line}" for line in problems))


def old_problems(ti: Any) -> Iterator[str]:
    """What is wrong with the values that this task pushed in the run before this one, if there was one."""
    for name, value in values().items():
        try:
            got = ti.xcom_pull(task_ids=ti.task_id, key=name, map_indexes=-1, include_prior_dates=True)
        except Exception as error:
            yield f"{name} of an earlier run: cannot be pulled: {cause(reason(error), scheme())}"
            continue
        wrong = None if got is None else problem(f"{name} of an earlier run", got, value, seen=True)
        if wrong and CAUSES["expired"].says in wrong:
            print(wrong)  # noqa: T201 - as it should, when that run was long ago
        elif wrong:
            yield wrong


def new_problems(ti: Any) -> Iterator[str]:
    """What is wrong with values that are pushed now, and read back by the same task."""
    for name, value in values().items():
        with unreported() as errors:
            try:
                ti.xcom_push(key=name, value=value)
                got = ti.xcom_pull(task_ids=ti.task_id, key=name)
            except Exception as error:
                yield f"{name}: cannot be pushed: {cause(reason(error), scheme())}"
                continue
        if is_path(got) and errors:
            yield f"{name}: its upload failed, and Airflow said nothing: {cause(errors[0], scheme())}"
        elif wrong := problem(name, got, value, seen=False):
            yield wrong


def state_problems(store: Any) -> Iterator[str]:
    """What is wrong with the state store of this task."""
    try:
        with unreported() as errors:
            store.set("xcom_check", STATE)
            got = store.get("xcom_check")
            store.delete("xcom_check")
    except Exception as error:
        yield f"state store: cannot be used: {cause(reason(error), scheme())}"
        return
    if errors:
        yield f"state store: its upload failed, and Airflow said nothing: {cause(errors[0], scheme())}"
    elif got != STATE:
        yield f"state store: another value came back: {str(got)[:80]!r}"


@dag(
    schedule=None,
    catchup=False,
    tags=["xcom"],
    doc_md=__doc__,
    default_args={"retries": 0, "execution_timeout": LONGEST},
)
def xcom_check() -> None:
    """On each queue settings, then push and return; then pull and compare; at last a branch."""
    groups: dict[str, str] = {}
    for queue in dict.fromkeys(QUEUES):  # ids differ where queues do: a.b and a_b
        group = f"queue_{re.sub(r'[^a-zA-Z0-9-]', '_', queue)}"
        groups[queue] = f"{group}_{len(groups)}" if group in groups.values() else group

    @task
    def settings() -> None:
        with collected() as problems:
            problems += wrong_settings()
            try:
                print(f"XComs go to {asked()}")  # noqa: T201
            except Exception as error:
                problems.append(f"the storage: cannot be asked: {cause(error, scheme())}")

    @task
    def push() -> None:
        context = get_current_context()
        with collected() as problems:
            problems += old_problems(context["ti"])
            problems += new_problems(context["ti"])
            if keeps_state():
                problems += state_problems(context["task_state_store"])

    @task(show_return_value_in_logs=False)
    def hand_over() -> str:
        return LARGEST  # and ends at once: only this shows whether an upload outlives its task

    @task
    def pull() -> None:
        ti = get_current_context()["ti"]
        with collected() as problems:
            problems += wrong_settings()
            pushed = [("hand_over", "return_value", LARGEST), *(("push", *each) for each in values().items())]
            for queue, group in groups.items():
                for task_id, name, expected in pushed:
                    what = f"{name} from {queue}"
                    try:
                        got = ti.xcom_pull(task_ids=f"{group}.{task_id}", key=name)
                    except Exception as error:
                        problems.append(f"{what}: cannot be pulled: {cause(reason(error), scheme())}")
                        continue
                    if wrong := problem(what, got, expected, seen=task_id == "push"):
                        problems.append(wrong)
        print(f"{len(groups) * (len(values()) + 1)} values came back as they were pushed")  # noqa: T201

    @task.branch
    def choose() -> str:
        return "branch.chosen"

    @task
    def chosen() -> None:
        pass

    @task
    def not_chosen(number: int) -> None:
        with collected() as problems:
            problems.append(said(CAUSES["branch"], scheme()))

    written, read = [], []
    for queue, group in groups.items():
        with TaskGroup(group, default_args={"queue": queue}):
            last = hand_over()
            settings() >> push() >> last
            written.append(last)
            read.append(pull())
    for each in read:
        written >> each
    with TaskGroup("branch", default_args={"queue": QUEUES[0]}):
        branch = choose()
        read >> branch >> [chosen(), not_chosen.expand(number=[1])]


xcom_check()
