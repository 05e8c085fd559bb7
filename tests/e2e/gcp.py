"""Google Cloud on loopback: an emulator behind a gate that enforces the applied roles, key grant and workload identity.

Real: the JSON, Terraform core, Helm, Airflow, google-auth and gcsfs. Ours: which role allows which call, as documented,
and the metadata server of the nodes.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import jwt

from e2e.agents import Airflow, Pod
from e2e.certificates import Certificates
from e2e.gate import Answer, Forward, Gate, Request
from e2e.tokens import Clock, Cluster, Invented, verified
from e2e.world import Deploy, Given, World
from support import Body, Run

ROLES = {
    "roles/storage.objectAdmin": {
        "storage.objects.create",
        "storage.objects.delete",
        "storage.objects.get",
        "storage.objects.list",
    },
    "roles/storage.legacyBucketReader": {"storage.buckets.get", "storage.objects.list"},
}
"""Role -> what it allows, as documented, of what the calls below need."""
CALLS = {
    "GET /storage/v1/b": "storage.buckets.list",
    "POST /storage/v1/b": "storage.buckets.create",
    "GET /storage/v1/b/(?P<bucket>[^/]+)": "storage.buckets.get",
    "GET /storage/v1/b/(?P<bucket>[^/]+)/o": "storage.objects.list",
    "GET (/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/.+": "storage.objects.get",
    "DELETE /storage/v1/b/(?P<bucket>[^/]+)/o/.+": "storage.objects.delete",
    "(POST|PUT) /upload/storage/v1/b/(?P<bucket>[^/]+)/o": "storage.objects.create",
}
"""Method and path of the JSON API -> the permission that is documented for it."""
KEY_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
USER_ROLE = "roles/iam.workloadIdentityUser"
CONNECTION = "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"
HOST = "/storage.googleapis.com"
"""In the path of the endpoint: to a host that is not named so the client sends no batches."""


@dataclass
class Project:
    """What an applied stack made of a Google Cloud project. Tests change it to see that it matters."""

    bucket: str
    pool: str
    """Of the cluster that the pods run in. Tests put them into another one."""
    cluster: Cluster
    """Of that pool: Google asks its issuer for the keys."""
    users: set[tuple[str, str]]
    """Service account and who may use it by workload identity."""
    members: list[Body]
    """Who has which role on which bucket."""
    roles: dict[str, set[str]]
    key: str | None
    """That Cloud Storage encrypts with, on behalf of its own service agent."""
    key_users: set[tuple[str, str]]
    """Key and who may encrypt and decrypt with it."""
    storage_agent: str | None
    clock: Clock = time.time
    node: str = ""
    """Host and port of the metadata server."""
    pods: dict[str, Pod] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Access token -> whose it is, as IAM writes members."""

    @classmethod
    def of(cls, run: Run) -> "Project":
        """Take everything from the applied state."""
        bucket = run.one("google_storage_bucket")
        ours = (bucket["name"], f"b/{bucket['name']}")  # what is granted elsewhere is beside XComs
        members = [each for each in run.resources("google_storage_bucket_iam_member") if each["bucket"] in ours]
        assert not any(member["condition"] for member in members), "the gate does not know IAM conditions"
        agents = [agent["member"] for agent in run.data("google_storage_project_service_account")]
        cluster, *_ = run.data("google_container_cluster")
        return cls(
            bucket=bucket["name"],
            pool=cluster["workload_identity_config"][0]["workload_pool"],
            cluster=Invented(f"https://container.googleapis.com/v1/{cluster['id']}"),
            users={
                (grant["service_account_id"].rpartition("/")[2], grant["member"])
                for grant in run.resources("google_service_account_iam_member")
                if grant["role"] == USER_ROLE
            },
            members=members,
            roles={member["role"]: set(ROLES[member["role"]]) for member in members},
            key=bucket["encryption"][0]["default_kms_key_name"] if bucket["encryption"] else None,
            key_users={
                (grant["crypto_key_id"], grant["member"])
                for grant in run.resources("google_kms_crypto_key_iam_member")
                if grant["role"] == KEY_ROLE
            },
            storage_agent=agents[0] if agents else None,
        )

    def take_away(self, permission: str) -> None:
        """Let no role allow it any more."""
        for allowed in self.roles.values():
            allowed.discard(permission)

    def webhook(self, pod: Pod) -> Given:
        """GKE puts nothing into a pod: the metadata server of its node knows who asks. Here it knows by the path."""
        self.pods[f"/{pod.namespace}/{pod.service_account}"] = pod
        host = f"{self.node}/{pod.namespace}/{pod.service_account}"
        return Given({"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host})

    def metadata(self, request: Request, forward: Forward) -> Answer:
        """What GKE's metadata server answers to a pod."""
        path, _, what = request.path.partition("/computeMetadata/v1/")
        pod = self.pods[path]
        account = pod.service_account_annotations.get("iam.gke.io/gcp-service-account")
        match what.rstrip("/").replace(f"/{account or self.pool}", "/default"):  # it goes by both names
            case "":
                return _told("")
            case "project/project-id":
                return _told(self.pool.removesuffix(".svc.id.goog"))
            case "instance/service-accounts/default":
                scopes = ["https://www.googleapis.com/auth/cloud-platform"]
                return _told({"email": account or self.pool, "aliases": ["default"], "scopes": scopes})
            case "instance/service-accounts/default/token":
                try:
                    itself = self.federated(self.cluster.token(pod.subject, self.pool))
                except jwt.InvalidTokenError as error:
                    return _told(f"Unable to generate access token; invalid_grant: {error}", 403)
                if account and (account, itself) not in self.users:
                    denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
                    return _told(f"Unable to generate access token; IAM returned 403 Forbidden: {denied}", 403)
                token = secrets.token_urlsafe()
                self.tokens[token] = f"serviceAccount:{account}" if account else itself
                return _told({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        return _told("Not Found", 404)

    def federated(self, token: str) -> str:
        """Whom Google's token service takes the token of a pod for. Raises jwt.InvalidTokenError if it refuses it."""
        claims = verified(token, self.cluster, self.clock())
        if claims["aud"] != [self.pool]:
            raise jwt.InvalidAudienceError("the audience in ID Token does not match the expected audience")
        _, _, namespace, account = claims["sub"].split(":")
        return f"serviceAccount:{self.pool}[{namespace}/{account}]"

    def decide(self, request: Request, forward: Forward) -> Answer:
        """What Cloud Storage would answer under this project's policies."""
        request = replace(request, target=request.target.removeprefix(HOST))
        if request.path == "/batch/storage/v1":
            return _batch([self.decide(call, forward) for call in _calls(request)])
        permission, bucket = _needed(request)
        authorization = request.headers.get("authorization")
        if authorization is None:
            return _refused(401, f"Anonymous caller does not have {permission} access")
        caller = self.tokens.get(authorization.removeprefix("Bearer "))
        if caller is None:
            return _refused(401, "Invalid Credentials")
        if not self._allowed(caller, permission, bucket):
            return _refused(403, f"{caller} does not have {permission} access")
        if permission == "storage.objects.create" and self.key and (self.key, self.storage_agent) not in self.key_users:
            return _refused(403, "Permission denied on Cloud KMS key for the service agent of Cloud Storage")
        answer = forward(request)
        # The emulator speaks plain http, and believes that so do its clients.
        headers = {key: value.replace("http://", "https://") for key, value in answer.headers.items()}
        return replace(answer, headers=headers)

    def _allowed(self, caller: str, permission: str, bucket: str | None) -> bool:
        return any(
            _is(member["member"], caller)
            and member["bucket"].removeprefix("b/") == bucket  # the provider's own writes its id of the bucket
            and permission in self.roles[member["role"]]
            for member in self.members
        )


def _is(member: str, caller: str) -> bool:
    """Whether a grant is the caller's. A pod that acts as itself has a second name, for direct grants."""
    pod = re.fullmatch(r"serviceAccount:(.+)\[(.+)/(.+)\]", caller)
    direct = f"/workloadIdentityPools/{pod[1]}/subject/ns/{pod[2]}/sa/{pod[3]}" if pod else caller
    return member == caller or (member.startswith("principal://") and member.endswith(direct))


def _needed(request: Request) -> tuple[str, str | None]:
    """The permission that a call needs, and on which bucket; None is the project."""
    for call, permission in CALLS.items():
        if found := re.fullmatch(call, f"{request.method} {request.path}", re.DOTALL):
            return permission, found.groupdict().get("bucket")
    raise AssertionError(f"the gate does not know {request.method} {request.target}")


def _calls(batch: Request) -> list[Request]:
    """The calls of a batch. Its client sends no body in them."""
    lines = re.findall(r"^(GET|DELETE) (/\S+) HTTP/1.1\s*$", batch.body.decode(), re.MULTILINE)
    return [replace(batch, method=method, target=target, body=b"") for method, target in lines]


def _batch(answers: Sequence[Answer]) -> Answer:
    parts = [
        f"--batch\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {answer.status} -\r\n\r\n{answer.body.decode()}\r\n"
        for answer in answers
    ]
    return Answer(200, "".join([*parts, "--batch--"]).encode(), {"Content-Type": "multipart/mixed; boundary=batch"})


def _told(what: str | Body, status: int = 200) -> Answer:
    """An answer of the metadata server."""
    if isinstance(what, str):
        return Answer(status, what.encode(), {"Content-Type": "text/plain", "Metadata-Flavor": "Google"})
    return Answer(status, json.dumps(what).encode(), {"Content-Type": "application/json", "Metadata-Flavor": "Google"})


def _refused(status: int, message: str) -> Answer:
    body = json.dumps({"error": {"code": status, "message": message}})
    return Answer(status, body.encode(), {"Content-Type": "application/json"})


class Bucket:
    """The bucket in the emulator, without the gate: what its owner sees."""

    def __init__(self, port: int, name: str) -> None:
        """Makes the bucket, and leaves nothing else in the emulator."""
        self._url, self._objects = f"http://127.0.0.1:{port}", f"/storage/v1/b/{name}/o"
        self._call("GET", "/wipe")
        self._call("POST", "/storage/v1/b", json.dumps({"name": name}).encode(), "application/json")

    def keys(self) -> set[str]:
        return {item["name"] for item in json.loads(self._call("GET", self._objects))["items"]}

    def get(self, key: str) -> bytes:
        return self._call("GET", f"{self._objects}/{quote(key, safe='')}?alt=media")

    def put(self, key: str, content: bytes) -> None:
        self._call("POST", f"/upload{self._objects}?uploadType=media&name={quote(key, safe='')}", content)

    def _call(self, method: str, path: str, content: bytes | None = None, type_: str = "text/plain") -> bytes:
        request = HttpRequest(self._url + path, method=method, data=content, headers={"Content-Type": type_})
        with urlopen(request) as response:
            answer: bytes = response.read()
        return answer


@dataclass
class Gcp(World):
    """A deployment on Google Cloud."""

    project: Project
    bucket: Bucket
    gate: Gate
    node: Gate
    """The metadata server."""


OpenGcp = Callable[..., AbstractContextManager[Gcp]]


@contextmanager
def opened(
    name: str, *, deploy: Deploy, gcs: int, certificates: Certificates, airflow: Airflow, folder: Path
) -> Iterator[Gcp]:
    """Deploy and serve on loopback, with an empty bucket."""
    deployed = deploy(name)
    project = Project.of(deployed.run)
    bucket = Bucket(gcs, project.bucket)
    with Gate(gcs, project.decide, certificates) as gate, Gate(0, project.metadata, None) as node:
        project.node = node.url.removeprefix("http://")
        endpoint = gate.url + HOST
        yield Gcp(
            deployed=deployed,
            project=project,
            bucket=bucket,
            gate=gate,
            node=node,
            identity=project,
            store=bucket,
            pods=dict(deployed.pods),
            airflow=airflow,
            emulator={
                "FSSPEC_GCS": json.dumps({"endpoint_url": endpoint}),
                # A connection that is named in the path has to be defined, and has an endpoint of its own.
                CONNECTION: json.dumps({"conn_type": "google_cloud_platform", "extra": {"gcs.endpoint": endpoint}}),
                "SSL_CERT_FILE": str(certificates.ca),
            },
            folder=folder,
        )
