"""The applied trust of each cloud against tokens that nobody here wrote: a real API server signs them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from cluster.control_plane import Cluster, ControlPlane
from e2e import tokens
from e2e.agents import Pod
from e2e.aws import Account
from e2e.azure import Subscription
from e2e.gate import Answer, Request
from e2e.gcp import Project
from e2e.tokens import unverified
from e2e.world import Deploy
from support import Run

pytestmark = pytest.mark.cluster

Cloud = Account | Subscription | Project


@dataclass(frozen=True)
class Showing:
    """A cluster whose nodes show one token, whatever pod asks for one."""

    cluster: tokens.Cluster
    shown: str

    @property
    def issuer(self) -> str:
        return self.cluster.issuer

    def token(self, subject: str, audience: str) -> str:
        return self.shown

    def keys(self) -> dict[str, Any]:
        return self.cluster.keys()


def on_aws(account: Account, token: str) -> Answer:
    asked = {"Action": "AssumeRoleWithWebIdentity", "RoleArn": account.role_arn, "WebIdentityToken": token}
    request = Request("POST", "/", {}, urlencode(asked).encode(), "TLSv1.3")
    return account.decide(request, lambda request: Answer(200, b"<AccessKeyId>made</AccessKeyId>"))


def on_azure(subscription: Subscription, token: str) -> Answer:
    asked = {
        "client_id": subscription.client_id,
        "client_assertion": token,
        "scope": "https://storage.azure.com/.default",
    }
    target = f"/{subscription.tenant}/oauth2/v2.0/token"
    return subscription.decide(Request("POST", target, {}, urlencode(asked).encode(), "TLSv1.3"), nothing)


def on_gcp(project: Project, token: str) -> Answer:
    """The node asks, for a pod whose service account names the agents' own."""
    ((account, _), *_) = sorted(project.users)
    project.pods["/pod"] = Pod({}, {}, "", "", {"iam.gke.io/gcp-service-account": account})
    project.cluster = Showing(project.cluster, token)
    target = "/pod/computeMetadata/v1/instance/service-accounts/default/token"
    return project.metadata(Request("GET", target, {}, b"", None), nothing)


def nothing(request: Request) -> Answer:
    raise AssertionError("no storage is asked")


OF: dict[str, Callable[[Run], Cloud]] = {"aws": Account.of, "azure": Subscription.of, "gcp": Project.of}
ASK: dict[str, Callable[[Any, str], Answer]] = {"aws": on_aws, "azure": on_azure, "gcp": on_gcp}
AUDIENCES: dict[str, Callable[[Any], str]] = {
    "aws": lambda account: account.audience,
    "azure": lambda subscription: subscription.audience,
    "gcp": lambda project: project.pool,
}


@dataclass
class Trust:
    """An applied cloud, and the cluster that it trusts."""

    name: str
    cloud: Any
    cluster: Cluster
    subjects: list[str]

    @property
    def audience(self) -> str:
        return AUDIENCES[self.name](self.cloud)

    def answer(self, token: str) -> Answer:
        """What the cloud's token service says to it."""
        return ASK[self.name](self.cloud, token)


@pytest.fixture(params=OF)
def trust(request: pytest.FixtureRequest, control_plane: ControlPlane, deploy: Deploy) -> Trust:
    run = deploy(f"{request.param}-example").run
    cloud = OF[request.param](run)
    cloud.cluster = cluster = control_plane.serve(cloud.cluster.issuer)
    subjects: list[str] = run.output("trusted_subjects")
    cluster.make_accounts([*subjects, *strangers(subjects)])
    return Trust(request.param, cloud, cluster, subjects)


def strangers(subjects: Iterable[str]) -> list[str]:
    """The first account's name in another namespace, and another account in its namespace."""
    front, _, name = next(iter(subjects)).rpartition(":")
    return [f"system:serviceaccount:elsewhere:{name}", f"{front}:{name}-2"]


def test_every_trusted_account_gets_in(trust: Trust) -> None:
    assert len(trust.subjects) >= 4
    for subject in trust.subjects:
        token = trust.cluster.token(subject, trust.audience)
        claims = unverified(token)
        assert claims["sub"] == subject
        assert "kubernetes.io" in claims, "as an API server writes it"
        answer = trust.answer(token)
        assert answer.status == 200, answer.body


Show = Callable[[Trust, ControlPlane], str]


def of_another_cluster(trust: Trust, control_plane: ControlPlane) -> str:
    """It says that it is the trusted one, and has a key of its own."""
    other = control_plane.serve(trust.cluster.issuer, another="stranger")
    other.make_accounts(trust.subjects)
    return other.token(trust.subjects[0], trust.audience)


def later(trust: Trust, control_plane: ControlPlane) -> str:
    """The cloud looks at it when it has expired."""
    trust.cloud.clock = lambda: time.time() + 3601
    return trust.cluster.token(trust.subjects[0], trust.audience)


def changed(trust: Trust, control_plane: ControlPlane) -> str:
    """Somebody wrote another account into it."""
    first, second = (trust.cluster.token(subject, trust.audience).split(".") for subject in trust.subjects[:2])
    return ".".join([first[0], second[1], first[2]])


REFUSED: dict[str, tuple[Show, dict[str, str]]] = {
    "another namespace": (
        lambda trust, _: trust.cluster.token(strangers(trust.subjects)[0], trust.audience),
        {"aws": "Not authorized", "azure": "AADSTS700213", "gcp": "iam.serviceAccounts.getAccessToken"},
    ),
    "another account": (
        lambda trust, _: trust.cluster.token(strangers(trust.subjects)[1], trust.audience),
        {"aws": "Not authorized", "azure": "AADSTS700213", "gcp": "iam.serviceAccounts.getAccessToken"},
    ),
    "another audience": (
        lambda trust, _: trust.cluster.token(trust.subjects[0], "https://kubernetes.default.svc"),
        {"aws": "Not authorized", "azure": "AADSTS700212", "gcp": "the audience in ID Token does not match"},
    ),
    "an expired one": (later, {"aws": "ExpiredTokenException", "azure": "AADSTS700024", "gcp": "Token expired"}),
    "another issuer": (
        lambda trust, control_plane: control_plane.cluster.token(trust.subjects[0], trust.audience),
        {"aws": "No OpenIDConnect provider found", "azure": "AADSTS700211", "gcp": "Invalid issuer"},
    ),
    "another cluster": (of_another_cluster, dict.fromkeys(OF, "the issuer has no such key")),
    "a changed one": (changed, dict.fromkeys(OF, "Signature verification failed")),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_nobody_else_does(which: str, trust: Trust, control_plane: ControlPlane) -> None:
    show, says = REFUSED[which]
    answer = trust.answer(show(trust, control_plane))
    assert answer.status in (400, 401, 403)
    assert says[trust.name] in answer.body.decode()
