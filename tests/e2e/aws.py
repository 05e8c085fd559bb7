"""AWS on loopback: moto behind a gate that enforces the applied trust, role policy, bucket policy and key.

Real: the JSON, Terraform core, Helm, Airflow, boto and s3fs. Ours: the evaluation of policies and the web identity.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, quote
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import jwt

from e2e import iam
from e2e.agents import Airflow, Pod
from e2e.certificates import Certificates
from e2e.gate import Answer, Forward, Gate, Request
from e2e.tokens import Clock, Cluster, Invented, unverified, verified
from e2e.world import Deploy, Given, World
from support import Run

TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


@dataclass
class Role:
    """Who may become it, and what it may do with storage."""

    trust: list[iam.Statement]
    policy: list[iam.Statement]


@dataclass
class Account:
    """What an applied stack made of an AWS account. Tests change it to see that it matters."""

    bucket: str
    region: str
    role_arn: str
    cluster: Cluster
    """That the pods run in. Tests put them into another one of the trusted."""
    issuers: list[str]
    roles: dict[str, "Role"]
    """ARN -> role: that of `role_arn`, and those of workers that have their own."""
    bucket_policy: list[iam.Statement]
    kms_key: str | None
    owner: str
    """The account that has the bucket: the role's own, until a stranger takes its name."""
    uses_the_key: str
    """The service through which the key is asked for."""
    audience: str = "sts.amazonaws.com"
    """Of the tokens that the webhook asks for."""
    clock: Clock = time.time
    sessions: dict[str, str] = field(default_factory=dict)
    """Access key -> role."""
    one: Lock = field(default_factory=Lock)
    """A call at a time: while moto computes the ETag of an object, it sends it to others as empty."""

    @classmethod
    def of(cls, run: Run) -> "Account":
        """Take everything from the applied state."""
        (encryption,) = run.one("aws_s3_bucket_server_side_encryption_configuration")["rule"]
        key = encryption["apply_server_side_encryption_by_default"][0]
        region = run.one("aws_s3_bucket")["region"]
        issuers = [cluster["identity"][0]["oidc"][0]["issuer"] for cluster in run.data("aws_eks_cluster")]
        # Those of other permissions are beside XComs, which must not need them.
        grants = [each for each in run.resources("aws_iam_role_policy") if each["name"].startswith("storage-")]
        of_roles = {grant["role"]: iam.statements(grant["policy"]) for grant in grants}
        return cls(
            bucket=run.one("aws_s3_bucket")["bucket"],
            region=region,
            role_arn=run.output("role_arn"),
            cluster=Invented(issuers[0]),
            issuers=issuers,
            roles={
                role["arn"]: Role(iam.statements(role["assume_role_policy"]), of_roles[role["name"]])
                for role in run.resources("aws_iam_role")
            },
            bucket_policy=iam.statements(run.one("aws_s3_bucket_policy")["policy"]),
            kms_key=key["kms_master_key_id"] if key["sse_algorithm"] == "aws:kms" else None,
            owner=run.output("role_arn").split(":")[4],
            uses_the_key=f"s3.{region}.amazonaws.com",
        )

    @property
    def trust(self) -> list[iam.Statement]:
        """Of the role of all workers that have none of their own."""
        return self.roles[self.role_arn].trust

    @property
    def role_policy(self) -> list[iam.Statement]:
        """What that role may do."""
        return self.roles[self.role_arn].policy

    def take_away(self, action: str) -> None:
        """Grant everything but one action."""
        for statement in self.role_policy:
            statement["Action"] = [kept for kept in iam.items(statement["Action"]) if kept != action]

    @property
    def bucket_arn(self) -> str:
        return f"{self.role_arn.partition(':iam:')[0]}:s3:::{self.bucket}"

    def webhook(self, pod: Pod) -> Given:
        """What EKS puts into a pod whose service account names a role: the role, the region and a token file."""
        role = pod.service_account_annotations.get("eks.amazonaws.com/role-arn")
        if role is None:  # nothing is added; this spares a search for a metadata server
            return Given({"AWS_EC2_METADATA_DISABLED": "true"})
        env = {
            "AWS_ROLE_ARN": role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": TOKEN_FILE,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }
        return Given(env, self.audience, TOKEN_FILE)

    def decide(self, request: Request, forward: Forward) -> Answer:
        """What AWS would answer under this account's policies."""
        form = parse_qs(request.body.decode()) if request.method == "POST" and request.path == "/" else {}
        if form.get("Action") == ["AssumeRoleWithWebIdentity"]:
            return self._assume_role(request, {key: values[0] for key, values in form.items()}, forward)
        return self._storage(request, forward)

    def _assume_role(self, request: Request, form: Mapping[str, str], forward: Forward) -> Answer:
        token = form["WebIdentityToken"]
        try:
            issuer = unverified(token)["iss"]
            if issuer != self.cluster.issuer:
                missing = f"No OpenIDConnect provider found in your account for {issuer}"
                return _refused(400, "InvalidIdentityToken", missing)
            claims = verified(token, self.cluster, self.clock())
        except jwt.ExpiredSignatureError as error:
            return _refused(400, "ExpiredTokenException", str(error))
        except jwt.InvalidTokenError as error:
            return _refused(400, "InvalidIdentityToken", str(error))
        (audience,) = claims["aud"]
        provider = f"{self.role_arn.partition(':role/')[0]}:oidc-provider/{issuer.removeprefix('https://')}"
        role = self.roles.get(form["RoleArn"])
        said = {"aud": audience, "sub": claims["sub"]}
        if role is None or not iam.may_assume(role.trust, provider=provider, claims=said):
            return _refused(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        answer = forward(request)
        found = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", answer.body)
        assert found, answer
        self.sessions[found[1].decode()] = form["RoleArn"]
        return answer

    def _storage(self, request: Request, forward: Forward) -> Answer:
        credential = re.search(r"Credential=(\w+)/", request.headers.get("authorization", ""))
        role = self.roles.get(self.sessions.get(credential[1], "")) if credential else None
        if role is None:
            return _refused(403, "AccessDenied", "Access Denied (no session of the role)")
        bucket, _, key = request.path.lstrip("/").partition("/")
        needed = _permissions(request, f"{self.bucket_arn.rpartition(':::')[0]}:::{bucket}", key)
        if self.kms_key and needed[0][0] == "s3:PutObject":
            needed.append(("kms:GenerateDataKey", self.kms_key))
        if denied := self._denied(needed, request, role):
            return (
                _keys_refused(request, denied) if "delete" in request.query else _refused(403, "AccessDenied", denied)
            )
        with self.one:
            answer = forward(request)
            for _ in range(3):
                if request.method == "GET" and key and answer.status == 200 and not answer.body:
                    answer = forward(request)
        if answer.status == 404 and key and not self._allowed("s3:ListBucket", self.bucket_arn, request, role):
            return _refused(403, "AccessDenied", "who may not list may not know that a key is missing")
        if self.kms_key and answer.status < 400 and request.method == "GET" and key:
            denied = self._denied([("kms:Decrypt", self.kms_key)], request, role)
            return _refused(403, "AccessDenied", denied) if denied else answer
        return answer

    def _denied(self, needed: list[tuple[str, str]], request: Request, role: "Role") -> str:
        for action, resource in needed:
            if not self._allowed(action, resource, request, role):
                return f"not authorized to perform: {action} on resource: {resource}"
        return ""

    def _allowed(self, action: str, resource: str, request: Request, role: "Role") -> bool:
        context = {"aws:SecureTransport": "true" if request.tls else "false"}
        if request.tls:
            context["s3:TlsVersion"] = request.tls.removeprefix("TLSv")
        if "prefix" in request.query:
            context["s3:prefix"] = request.query["prefix"]
        if resource == self.kms_key:
            return iam.allowed(action, resource, {**context, "kms:ViaService": self.uses_the_key}, role.policy)
        context["aws:ResourceAccount"] = self.owner
        return iam.allowed(action, resource, context, role.policy, self.bucket_policy)


def _permissions(request: Request, bucket: str, key: str) -> list[tuple[str, str]]:
    """The actions (and resources) that AWS documents for a call of S3's REST API."""
    method, query, item = request.method, request.query, f"{bucket}/{key}"
    if not key:
        if method == "POST" and "delete" in query:
            return [("s3:DeleteObject", f"{bucket}/{name}") for name in _keys(request.body)]
        if method == "GET" and "location" in query:
            return [("s3:GetBucketLocation", bucket)]
        if method in ("GET", "HEAD"):
            return [("s3:ListBucket", bucket)]
        if method == "PUT" and not query:
            return [("s3:CreateBucket", bucket)]
    elif method in ("GET", "HEAD") and not query.keys() - {"partNumber", "x-id"}:
        return [("s3:GetObject", item)]
    elif (method == "PUT" and not query.keys() - {"partNumber", "uploadId", "x-id"}) or (
        method == "POST" and query.keys() & {"uploads", "uploadId"}
    ):
        return [("s3:PutObject", item)]
    elif method == "DELETE":
        return [("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", item)]
    raise AssertionError(f"the gate does not know {method} {request.target}")


def _keys(body: bytes) -> list[str]:
    return re.findall(r"<Key>(.*?)</Key>", body.decode())


def _refused(status: int, code: str, message: str) -> Answer:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f"<ErrorResponse>{text}</ErrorResponse>" if status == 400 or "sts:" in message else text
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def _keys_refused(request: Request, message: str) -> Answer:
    """A batch delete answers 200 and names the keys that it refused."""
    errors = "".join(
        f"<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        for key in _keys(request.body)
    )
    return Answer(200, f"<DeleteResult>{errors}</DeleteResult>".encode(), {"Content-Type": "application/xml"})


OWNER = {
    "Authorization": "AWS4-HMAC-SHA256 "
    "Credential=owner/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    "Content-Type": "application/octet-stream",
}
"""moto asks who calls, and believes it."""


class Bucket:
    """The bucket in moto, without the gate: what its owner sees."""

    def __init__(self, port: int, name: str) -> None:
        """Makes the bucket, or empties it."""
        self._url = f"http://127.0.0.1:{port}/{name}"
        self._call("PUT")
        for key in self.keys():
            self.delete(key)

    def keys(self) -> set[str]:
        return set(_keys(self._call("GET")))

    def get(self, key: str) -> bytes:
        return self._call("GET", key)

    def put(self, key: str, content: bytes) -> None:
        self._call("PUT", key, content)

    def delete(self, key: str) -> None:
        self._call("DELETE", key)

    def _call(self, method: str, key: str = "", content: bytes | None = None) -> bytes:
        request = HttpRequest(f"{self._url}/{quote(key)}", method=method, data=content, headers=OWNER)
        with urlopen(request) as response:
            answer: bytes = response.read()
        return answer


@dataclass
class Aws(World):
    """A deployment on AWS."""

    account: Account
    bucket: "Bucket"
    gate: Gate


OpenAws = Callable[..., AbstractContextManager[Aws]]


@contextmanager
def opened(
    name: str,
    *,
    deploy: Deploy,
    moto: int,
    certificates: Certificates,
    airflow: Airflow,
    folder: Path,
    tls: bool = True,
) -> Iterator[Aws]:
    """Deploy and serve on loopback, over https unless `tls` is off."""
    deployed = deploy(name)
    account = Account.of(deployed.run)
    bucket = Bucket(moto, account.bucket)
    with Gate(moto, account.decide, certificates if tls else None) as gate:
        yield Aws(
            deployed=deployed,
            account=account,
            bucket=bucket,
            gate=gate,
            identity=account,
            store=bucket,
            pods=dict(deployed.pods),
            airflow=airflow,
            emulator={"AWS_ENDPOINT_URL": gate.url, "AWS_CA_BUNDLE": str(certificates.ca)},
            folder=folder,
        )
