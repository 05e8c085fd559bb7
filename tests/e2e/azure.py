"""Azure on loopback: Azurite behind a gate that enforces the applied federation and role assignments.

Real: the JSON, Terraform core, Helm, Airflow, azure-identity, adlfs and Azurite. Ours: Entra's token endpoint, the
webhook of workload identity and the evaluation of roles.
"""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from e2e.agents import Airflow, Pod
from e2e.certificates import Certificates
from e2e.gate import Answer, Forward, Gate, Request
from e2e.tokens import Clock, Cluster, Invented, unverified, verified
from e2e.world import Deploy, Given, World
from support import Run

TOKEN_FILE = "/var/run/secrets/azure/tokens/azure-identity-token"
AUDIENCE = "api://AzureADTokenExchange"
"""Of the tokens that the webhook asks for, unless it was set up otherwise."""

ROLES = {
    "Storage Blob Data Contributor": {
        "containers/delete",
        "containers/read",
        "containers/write",
        "containers/blobs/add/action",
        "containers/blobs/delete",
        "containers/blobs/move/action",
        "containers/blobs/read",
        "containers/blobs/write",
        "generateUserDelegationKey/action",
    },
    "Storage Blob Data Reader": {"containers/read", "containers/blobs/read", "generateUserDelegationKey/action"},
}
"""Azure's built-in roles -> actions and data actions, below Microsoft.Storage/storageAccounts/blobServices/."""


@dataclass
class Credential:
    """A federated identity credential: which tokens of a cluster may become those of an identity."""

    client: str
    """Client id of the identity."""
    issuer: str
    subject: str
    audience: str


@dataclass
class Assignment:
    """A role assignment."""

    role: str
    scope: str
    principal: str


@dataclass
class Subscription:
    """What an applied stack made in Azure. Tests change it to see that it matters."""

    account: str
    """Resource id of the storage account."""
    container: str
    tenant: str
    client_id: str
    principal: str
    """Of the agents' identity, as is the client id: Azure has it twice, for tokens and for roles."""
    principals: dict[str, str]
    """Client id -> principal: that identity, and those of workers that have their own."""
    credentials: list[Credential]
    assignments: list[Assignment]
    cluster: Cluster
    """That the pods run in. Tests put them into another one of the trusted."""
    issuers: list[str]
    audience: str = AUDIENCE
    """Of the tokens that the webhook of this cluster asks for."""
    roles: dict[str, set[str]] = field(default_factory=lambda: {name: {*actions} for name, actions in ROLES.items()})
    clock: Clock = time.time
    entra_key: RSAPrivateKey = field(default_factory=partial(generate_private_key, 65537, 2048))
    """Signs the tokens of the token endpoint."""

    @classmethod
    def of(cls, run: Run) -> "Subscription":
        """Take everything from the applied state."""
        federated = [*run.resources("azurerm_federated_identity_credential")]
        owners = {credential["parent_id"] for credential in federated}
        made = {each["id"]: each for each in run.resources("azurerm_user_assigned_identity") if each["id"] in owners}
        (applied,) = (each for each in made.values() if each["client_id"] == run.output("client_id"))
        issuers = [cluster["oidc_issuer_url"] for cluster in run.data("azurerm_kubernetes_cluster")]
        return cls(
            account=run.one("azurerm_storage_account")["id"],
            container=run.one("azurerm_storage_container")["name"],
            tenant=applied["tenant_id"],
            client_id=applied["client_id"],
            principal=applied["principal_id"],
            principals={each["client_id"]: each["principal_id"] for each in made.values()},
            credentials=[
                Credential(
                    client=made[each["parent_id"]]["client_id"],
                    issuer=each["issuer"],
                    subject=each["subject"],
                    audience=audience,
                )
                for each in federated
                for audience in each["audience"]
            ],
            assignments=[
                Assignment(role=each["role_definition_name"], scope=each["scope"], principal=each["principal_id"])
                for each in run.resources("azurerm_role_assignment")
            ],
            cluster=Invented(issuers[0]),
            issuers=issuers,
        )

    @property
    def account_name(self) -> str:
        return self.account.rpartition("/")[2]

    @property
    def grants(self) -> list[Assignment]:
        """The roles of the agents' identity."""
        return [assignment for assignment in self.assignments if assignment.principal == self.principal]

    def webhook(self, pod: Pod) -> Given:
        """What workload identity puts into a pod that has its label and whose service account names an identity."""
        client_id = pod.service_account_annotations.get("azure.workload.identity/client-id")
        if pod.labels.get("azure.workload.identity/use") != "true" or client_id is None:
            return Given({})
        env = {
            "AZURE_CLIENT_ID": client_id,
            "AZURE_TENANT_ID": self.tenant,
            "AZURE_FEDERATED_TOKEN_FILE": TOKEN_FILE,
            "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        }
        return Given(env, self.audience, TOKEN_FILE)

    def decide(self, request: Request, forward: Forward) -> Answer:
        """What Azure would answer: Entra's token endpoint, a node's metadata service, or Blob Storage."""
        if request.path.endswith("/oauth2/v2.0/token"):
            form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
            return self._exchange(request.path.split("/")[1], form)
        if request.path.startswith("/metadata/identity/"):
            return _json(400, error="invalid_request", error_description="Identity not found")  # the node has none
        return self._storage(request, forward)

    def _exchange(self, tenant: str, form: Mapping[str, str]) -> Answer:
        """A token of the identity for one of a service account."""
        assertion, client = form["client_assertion"], form["client_id"]
        try:
            why = self._refusal(tenant, client, unverified(assertion))  # before it asks an issuer for its keys
            if not why:
                verified(assertion, self.cluster, self.clock())
        except jwt.ExpiredSignatureError as error:
            why = f"AADSTS700024: {error}"
        except jwt.InvalidTokenError as error:
            why = f"AADSTS50027: {error}"
        if why:
            return _json(401, error="invalid_client", error_description=why)
        now = int(time.time())
        token = {
            "iss": f"https://sts.windows.net/{tenant}/",
            "aud": form["scope"].removesuffix("/.default"),
            "tid": tenant,
            "appid": client,
            "oid": self.principals[client],
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        signed = jwt.encode(token, self.entra_key, algorithm="RS256")
        return _json(200, token_type="Bearer", expires_in=3599, access_token=signed)

    def _refusal(self, tenant: str, client: str, claims: Mapping[str, Any]) -> str:
        """The first reason against an exchange, with Entra's code for it."""
        if tenant != self.tenant:
            return f"AADSTS90002: no tenant '{tenant}'"
        if client not in self.principals:
            return f"AADSTS700016: no application '{client}'"
        matching = [credential for credential in self.credentials if credential.client == client]
        for code, claim, values in (
            ("AADSTS700211", "issuer", [claims["iss"]]),
            ("AADSTS700213", "subject", [claims["sub"]]),
            ("AADSTS700212", "audience", claims["aud"]),
        ):
            matching = [credential for credential in matching if getattr(credential, claim) in values]
            if not matching:
                return f"{code}: no federated identity credential for this {claim}: '{', '.join(values)}'"
        return ""

    def _storage(self, request: Request, forward: Forward) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:  # and the account lets no blob be public
            return _refused(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")
        claims = jwt.decode(token, self.entra_key.public_key(), ["RS256"], options={"verify_aud": False})
        account, _, path = request.path.lstrip("/").partition("/")
        container, _, blob = path.partition("/")
        resource = f"{self.account.removesuffix(self.account_name)}{account}"
        if container:
            resource += f"/blobServices/default/containers/{container}"
        action = _action(request, container, blob)
        if not self._allowed(claims["oid"], action, resource):
            message = f"not authorized to perform {action} on {resource}"
            return _refused(403, "AuthorizationPermissionMismatch", message)
        return forward(request)

    def _allowed(self, principal: str, action: str, resource: str) -> bool:
        return any(
            assignment.principal == principal
            and f"{resource}/".lower().startswith(f"{assignment.scope}/".lower())
            and action in self.roles[assignment.role]
            for assignment in self.assignments
        )


def _action(request: Request, container: str, blob: str) -> str:
    """The action that Azure documents for a call of the REST API of Blob Storage."""
    verb = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}.get(request.method)
    subject = "blob" if blob else "container" if container else "account"
    query = request.query
    if query.keys() <= {"restype", "comp", "prefix", "delimiter", "include", "maxresults", "marker", "blockid"}:
        match subject, query.get("restype"), query.get("comp"), verb:
            case ("blob", None, None, "read" | "write" | "delete") | ("blob", None, "block" | "blocklist", "write"):
                return f"containers/blobs/{verb}"
            case "container", "container", None, "read" | "write" | "delete":
                return f"containers/{verb}"
            case "container", "container", "list", "read":
                return "containers/blobs/read"
    raise AssertionError(f"the gate does not know {request.method} {request.target}")


def _json(status: int, **content: object) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _refused(status: int, code: str, message: str) -> Answer:
    body = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": code})


class Container:
    """The container in Azurite, without the gate: what its owner sees."""

    def __init__(self, port: int, certificates: Certificates, account: str, name: str) -> None:
        """Makes the container, or empties it."""
        self._url = f"https://127.0.0.1:{port}/{account}/{name}"
        self._tls = ssl.create_default_context(cafile=str(certificates.ca))
        now = int(time.time())
        claims = {
            "iss": "https://sts.windows.net/",
            "aud": "https://storage.azure.com",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        self._owner = jwt.encode(claims, "Azurite asks for no signature that it can check")
        if name not in self._names("?comp=list", folder=f"https://127.0.0.1:{port}/{account}"):
            self._call("PUT", "?restype=container")
        for key in self.keys():
            self.delete(key)

    def keys(self) -> set[str]:
        return self._names("?restype=container&comp=list", folder=self._url)

    def delete(self, key: str) -> None:
        self._call("DELETE", f"/{quote(key)}")

    def _names(self, query: str, folder: str) -> set[str]:
        return set(re.findall(r"<Name>(.*?)</Name>", self._call("GET", query, folder=folder).decode()))

    def _call(self, method: str, rest: str, *, folder: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {self._owner}", "x-ms-version": "2025-11-05", "Content-Length": "0"}
        request = HttpRequest(f"{folder or self._url}{rest}", method=method, headers=headers)
        with urlopen(request, context=self._tls) as response:
            content: bytes = response.read()
        return content


@dataclass
class Azure(World):
    """A deployment on Azure."""

    subscription: Subscription
    gate: Gate

    def here(self, env: Mapping[str, str]) -> dict[str, str]:
        """As on other clouds, and with the address of the account that the Airflow connection names in the connection.

        The client for blobs takes it from nowhere else.
        """
        environment = super().here(env)
        for name, value in environment.items():
            if name.startswith("AIRFLOW_CONN_"):
                connection = json.loads(value)
                extra = json.loads(connection["extra"])
                host = f"{self.gate.url.removeprefix('https://')}/{extra['account_name']}"
                environment[name] = json.dumps(connection | {"extra": json.dumps(extra | {"account_host": host})})
        return environment


OpenAzure = Callable[..., AbstractContextManager[Azure]]


@contextmanager
def opened(
    name: str,
    *,
    deploy: Deploy,
    azurite: Callable[[str], int],
    certificates: Certificates,
    airflow: Airflow,
    folder: Path,
    audience: str = AUDIENCE,
) -> Iterator[Azure]:
    """Deploy and serve on loopback. `audience` is what the clusters' webhook was set up with."""
    deployed = deploy(name)
    subscription = Subscription.of(deployed.run)
    subscription.audience = audience
    port = azurite(subscription.account_name)
    with Gate(port, subscription.decide, certificates, upstream_tls=True) as gate:
        yield Azure(
            deployed=deployed,
            subscription=subscription,
            gate=gate,
            identity=subscription,
            store=Container(port, certificates, subscription.account_name, subscription.container),
            pods=dict(deployed.pods),
            airflow=airflow,
            emulator={
                "AZURE_AUTHORITY_HOST": gate.url,
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": gate.url,  # instead of the metadata service of a node
                "REQUESTS_CA_BUNDLE": str(certificates.ca),
                "SSL_CERT_FILE": str(certificates.ca),
            },
            folder=folder,
        )
