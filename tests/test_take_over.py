"""`astro-xcom take-over`: hand-made values become a deployment, and nothing is written over without a copy."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from astro_xcom.cli import app
from astro_xcom.values_text import cleaned
from support import Body, synth_file
from test_vendor_values import DEFAULTS, page

VENDOR = Path(__file__).parent / "vendor"
SETTINGS = {
    "aws": ["region=us-east-1", "cluster.name=data"],
    "azure": [
        "subscription_id=00000000-0000-0000-0000-000000000000",
        "location=westeurope",
        "resource_group.name=astro",
        "identity.name=astro-agents",
        "cluster.name=data",
        "cluster.resource_group=aks",
    ],
    "gcp": ["cluster.name=data", "cluster.location=us-central1"],
}
Run = Callable[..., tuple[int, str, str]]
PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
STATE = "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command for one cloud, in a folder of its own: exit code, stdout, stderr."""

    def take_over(cloud: str, *options: str, values: Path | None = None, settings: bool = True) -> tuple[int, str, str]:
        sets = [part for each in SETTINGS[cloud] for part in ("--set", each)] if settings else []
        name = "hand"
        if options[:1] == ("--name",):
            name, options = options[1], options[2:]
        command = ["take-over", name, "--cloud", cloud, "--values", str(values or VENDOR / f"{cloud}.yaml")]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["astro-xcom", *command, *sets, *options])
        with pytest.raises(SystemExit) as ended:
            app.main()
        said = capsys.readouterr()
        code = ended.value.code
        return (code or 0, said.out, said.err) if isinstance(code, int | None) else (1, said.out, f"{said.err}{code}")

    return take_over


def written(folder: Path) -> Body:
    found: Body = yaml.safe_load((folder / "deployments.yaml").read_text())["deployments"]["hand"]
    return found


def path_in(values: str) -> str:
    """Where tasks keep XComs: a value is found again only if this stays to the letter."""
    entries = yaml.safe_load(values)["commonEnv"]
    return str(next(each["value"] for each in entries if each["name"].endswith("XCOM_OBJECTSTORAGE_PATH")))


def path_of(stack: Path) -> str:
    """The same of a stack, with its references read."""
    body = json.loads((stack / "cdk.tf.json").read_text())
    url = str(body["output"]["xcom_path"]["value"])
    for type_, resource, argument in re.findall(r"\$\{(\w+)\.([\w-]+)\.(\w+)\}", url):
        url = url.replace(f"${{{type_}.{resource}.{argument}}}", body["resource"][type_][resource][argument])
    return url


EXPECTED: dict[tuple[str, str], Body] = {
    ("aws", "adopted"): {
        "account_id": "111122223333",
        "storage": {"bucket": "acme-xcom", "path": "xcom", "existing": True},
        "identity": {"existing_role": "arn:aws:iam::111122223333:role/astro-agents"},
        "xcom": {"connection_id": "aws_default"},
    },
    ("aws", "imported"): {
        "account_id": "111122223333",
        "storage": {"bucket": "acme-xcom", "path": "xcom"},
        "identity": {"role_name": "astro-agents"},
        "xcom": {"connection_id": "aws_default"},
        "imports": dict.fromkeys(("bucket", "versioning", "encryption", "lifecycle", "role", "release"), True),
    },
    ("azure", "adopted"): {
        "tenant_id": "11111111-1111-1111-1111-111111111111",
        "resource_group": {"existing": True, "name": "astro"},
        "storage": {"container": "xcom", "path": "xcom", "account": "acmeastroxcom", "existing": "container"},
        "identity": {"existing": True, "federate": False, "name": "astro-agents"},
    },
    ("azure", "imported"): {
        "storage": {"container": "xcom", "path": "xcom", "account": "acmeastroxcom"},
        "identity": {"name": "astro-agents"},
        "imports": dict.fromkeys(("account", "container", "identity", "release"), True),
    },
    ("gcp", "adopted"): {
        "project": "acme-data",
        "storage": {"bucket": "acme-xcom", "path": "xcom", "existing": True},
        "identity": {"existing_service_account": "astro-agents@acme-data.iam.gserviceaccount.com"},
        "xcom": {"compression": "zip"},
    },
    ("gcp", "imported"): {
        "project": "acme-data",
        "storage": {"bucket": "acme-xcom", "path": "xcom", "location": "US"},
        "identity": {"service_account_id": "astro-agents"},
        "xcom": {"compression": "zip"},
        "imports": dict.fromkeys(("bucket", "service-account", "release"), True),
    },
}


@pytest.mark.parametrize(("cloud", "way"), EXPECTED)
def test_the_page_becomes_a_deployment(cloud: str, way: str, run: Run, tmp_path: Path) -> None:
    options = ["--import"] if way == "imported" else []
    options += ["--set", "storage.location=US"] if (cloud, way) == ("gcp", "imported") else []
    code, out, err = run(cloud, "--release", "agents", "--namespace", "astro", "--yes", *options)
    assert (code, err.count("written")) == (0, 2), err
    found = written(tmp_path)
    assert {key: found.get(key) for key in EXPECTED[cloud, way]} == EXPECTED[cloud, way]
    assert found["agent"] == {
        "namespace": "astro",
        "resource_name_prefix": "prod",
        "release_name": "agents",
        "values_files": ["hand-values.yaml"],
    }
    assert out.startswith(f"  hand:\n    cloud: {cloud}\n")
    stack = synth_file(tmp_path / "deployments.yaml", tmp_path / "out")["hand"]
    assert path_of(stack) == path_in((VENDOR / f"{cloud}.yaml").read_text())


COMMENTED = """\
# Ours, since 2024.
defaults:  # for all
  agent: {namespace: astro, resource_name_prefix: prod}

deployments:
  other:  # the first one
    cloud: gcp
    project: acme-data
    cluster: {name: data, location: us-central1}
    agent: {release_name: other, resource_name_prefix: other}
    storage: {bucket: acme-other, location: US}

# the end
"""


def test_the_file_keeps_its_text_and_a_copy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    file.write_text(COMMENTED)
    (tmp_path / "hand-values.yaml").write_text("mine: 1\n")
    (tmp_path / "deployments.yaml.bak").write_text("older\n")
    code, _, err = run("aws", "--yes")
    assert code == 0, err
    before, rest = file.read_text().split("\n  hand:\n")
    assert COMMENTED.startswith(before)
    assert rest.endswith("\n\n# the end\n")
    assert (tmp_path / "deployments.yaml.bak").read_text() == "older\n"
    assert (tmp_path / "deployments.yaml.bak2").read_text() == COMMENTED
    assert (tmp_path / "hand-values.yaml.bak").read_text() == "mine: 1\n"


def test_without_a_yes_nothing_is_written(run: Run, tmp_path: Path) -> None:
    code, out, err = run("aws")
    assert (code, "  hand:\n" in out) == (0, True)
    assert "Nothing was written" in err
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_asks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"Region of the bucket": "eu-west-1", "Name of the EKS cluster": "data"}
    monkeypatch.setattr("astro_xcom.cli.take_over.on_a_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda question, **_: answers[question])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert "Nothing was written" in run("aws", settings=False)[2]
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert run("aws", settings=False)[0] == 0
    assert (written(tmp_path)["region"], written(tmp_path)["cluster"]) == ("eu-west-1", {"name": "data"})


@pytest.mark.parametrize(
    ("cloud", "options", "edit", "says"),
    [
        ("aws", ["--adopt", "bukket"], {}, 'must be one of storage, identity, release; got "bukket"'),
        ("aws", ["--set", "region"], {}, 'must be SETTING=VALUE; got "region"'),
        ("aws", ["--set", "regoin=x"], {}, "hand.regoin: is not a setting; there are"),
        ("aws", ["--namespace", "other"], {}, "namespace is astro, and --namespace other: keep one of them"),
        ("gcp", [], {"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "NOTHING"}, "so there is nothing to take over"),
        ("aws", ["--values", "other.yaml"], {}, "one file, that of the release as it is; try helm get values RELEASE"),
        ("aws", [], {'value: "s3://aws_default@acme-xcom/xcom"': "valueFrom: {configMapKeyRef: {name: a, key: b}}"},
         f"commonEnv[{PATH}] has no plain value: write here what the pods have (kubectl exec POD -- printenv {PATH})"),
        ("aws", [], {"commonEnv:": "workers:\n- name: w\n  env:", "\nworkers:\n  - name: d": "\nx:\n  - name: d"},
         f"workers[w].env[{PATH}]: a deployment has one path: put it into commonEnv"),
        ("gcp", [], {"commonEnv:": "agents:\n  commonEnv:"}, "around the agents' one: give a file of what is below"),
        ("gcp", [], {"commonEnv:": "commonEnv: {A: b}\nx:"}, "commonEnv is a map, and the chart takes a list of name"),
        ("azure", [], {"abfs://wasb_xcom@xcom/": "abfss://xcom@acmeastroxcom.dfs.core.windows.net/"},
         "takes acmeastroxcom.dfs.core.windows.net for the container: nothing can have been kept there"),
        *((cloud, [], {old: new}, f"the settings can give {json.dumps(f'{old}xcom')}: a value already written would be")
          for cloud, old, new in (
              ("aws", "s3://aws_default@acme-xcom/", "s3a://aws_default@acme-xcom/"),
              ("azure", "abfs://wasb_xcom@xcom/", "abfss://wasb_xcom@xcom/"),
              ("azure", "abfs://wasb_xcom@xcom/", "abfs://xcom/"),
              ("gcp", "gs://acme-xcom/", "gcs://acme-xcom/"))),
        *((cloud, [], {"commonEnv:\n": f"commonEnv:\n  - {{name: {STATE}, value: {json.dumps(url)}}}\n"},
           f"{STATE}: you have {json.dumps(url)}, the settings can give {json.dumps(ours)}: tasks would not find what")
          for cloud, url, ours in (
              ("aws", "s3://acme-xcom/state", "s3://aws_default@acme-xcom/state"),
              ("azure", "abfs://wasb_xcom@other/state", "abfs://wasb_xcom@xcom/state"),
              ("gcp", "gs://acme-state/state", "gs://acme-xcom/state"))),
        ("aws", [], {"image:": "agentToken: x\nimage:"}, "values.yaml: agentToken: would stand in Terraform's state"),
        ("gcp", [], {"gs://": "s3://"}, "is no path of gcp"),
        (
            "aws",
            [],
            {"workers:": "serviceAccount: {annotations: {eks.amazonaws.com/role-arn: x}}\nworkers:"},
            "several",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_refused(
    cloud: str, options: list[str], edit: dict[str, str], says: str, run: Run, tmp_path: Path
) -> None:
    text = (VENDOR / f"{cloud}.yaml").read_text()
    for old, new in edit.items():
        text = text.replace(old, new)
    values = tmp_path / "values.yaml"
    values.write_text(text)
    code, out, err = run(cloud, *options, "--yes", values=values)
    assert (code, out) == (1, "")
    assert says in err
    assert [each.name for each in tmp_path.iterdir()] == ["values.yaml"]


def test_a_deployment_that_is_there_is_not_written_over(run: Run, tmp_path: Path) -> None:
    assert run("aws", "--yes")[0] == 0
    code, _, err = run("aws", "--yes")
    assert code == 1
    assert "deployments.yaml: hand: exists already" in err


def test_everything_that_no_values_say_is_asked_for_at_once(run: Run) -> None:
    code, _, err = run("azure", "--yes", settings=False)
    assert code == 1
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        each.partition("=")[0] for each in SETTINGS["azure"]
    ]


def test_what_is_adopted_is_not_imported(run: Run, tmp_path: Path) -> None:
    options = ("--import", "--adopt", "bucket", "--adopt", "release", "--release", "agents", "--yes")
    assert run("aws", *options)[0] == 0
    found = written(tmp_path)
    assert found["storage"]["existing"] is True
    assert found["agent"]["release"] is False
    assert found["imports"] == {"role": True}


def test_names_that_azure_refuses_twice_are_imported_under_their_own(run: Run, tmp_path: Path) -> None:
    account = (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/astro/providers/Microsoft.Storage"
        "/storageAccounts/acmeastroxcom"
    )
    assignment = f"{account}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-000000000000"
    credential = "identity.credential_names.astro/prod-worker-default-worker=agents"
    code, _, err = run(
        "azure", "--import", "--yes", "--set", credential, "--set", f"imports.role-assignment={assignment}"
    )
    assert code == 0, err
    found = written(tmp_path)
    assert found["storage"]["role_scope"] == "account"
    assert found["imports"]["credential astro/prod-worker-default-worker"] is True


CLEANED = """\
# Astronomer's page for AWS, in the words of the chart, with names made up.
astroDeploymentAPIURL: https://cluster0.external.astronomer.run/d0000000
image: images.example.com/data/agent:1.8.2
imagePullSecretName: astro-pull-secret  # of the registry
agentTokenSecretName: astro-agent-token
secretBackend: airflow.secrets.local_filesystem.LocalFilesystemBackend

# XComs
commonEnv:
  - name: ASTRO_DEPLOYMENT_NAMESPACE
    value: solar-system-1234
  # where values go
workers:
  - name: default-worker
    replicas: 2  # more at month's end
  - name: heavy
    serviceAccount:
      name: heavy-lifting
"""


def test_the_values_lose_what_the_settings_give_and_no_comment() -> None:
    assert cleaned((VENDOR / "aws.yaml").read_text()) == CLEANED
    assert cleaned(CLEANED) == CLEANED


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a: 1\nannotations: {eks.amazonaws.com/role-arn: x}\n", "a: 1\n"),
        ("labels:\n  azure.workload.identity/use: 'true'\n  team: data\n", "labels:\n  team: data\n"),
        ("labels: {azure.workload.identity/use: 'true', team: data}\n", None),  # not by whole lines
        ("commonEnv:\n- name: AIRFLOW__CORE__XCOM_BACKEND\n  value: x\n# next\nb: 1\n", "# next\nb: 1\n"),
        ("commonEnv:\n- {name: AIRFLOW_CONN_WASB_XCOM}\n- {name: A, value: x}", "commonEnv:\n- {name: A, value: x}"),
        ("workers:\n- name: a\n  env: []\nnamespace: x", "workers:\n- name: a\n  env: []\n"),
        ("", ""),
        ("just: this", "just: this"),
    ],
)  # fmt: skip
def test_other_forms_of_yaml(text: str, left: str | None) -> None:
    assert cleaned(text, "AIRFLOW_CONN_WASB_XCOM") == (text if left is None else left)


# ---- as people write them

HEAD = "resourceNamePrefix: prod\nnamespace: astro\nworkers: [{name: default-worker}]\n"
EMAIL = "astro-agents@acme-data.iam.gserviceaccount.com"
ROLE = "arn:aws:iam::111122223333:role/platform/astro-agents"
WRITTEN: list[tuple[str, str, Body, str]] = [
    (
        "aws",
        f"""\
commonEnv:  # ours
- {{name: {PATH.replace("PATH", "THRESHOLD")}, value: 1000}}
- name: {PATH.replace("PATH", "COMPRESSION")}
  value: gzip
- value: s3://acme-xcom/
  name: {PATH}
- {{name: AIRFLOW__CORE__XCOM_BACKEND, value: mine.Backend}}
serviceAccount:
  workers:
    annotations: &role
      eks.amazonaws.com/role-arn: {ROLE}
  triggerer:
    annotations: *role
""",
        {
            "storage": {"bucket": "acme-xcom", "path": ""},
            "xcom": {"compression": "gzip", "threshold": 1000, "backend": "mine.Backend"},
            "identity": {"role_name": "astro-agents", "path": "/platform/"},
        },
        "workers: [{name: default-worker}]\n",
    ),
    (
        "azure",
        f"""\
commonEnv:
- {{name: {PATH}, value: "abfs://team@values/prod"}}
- {{name: OTHER, value: "1"}}
- {{name: AIRFLOW_CONN_TEAM, value: "wasb://acmeastroxcom@?extra__wasb__tenant_id=x"}}
podLabels: {{team: data}}
""",
        {"storage": {"container": "values", "path": "prod", "account": "acmeastroxcom"}},
        'workers: [{name: default-worker}]\ncommonEnv:\n- {name: OTHER, value: "1"}\npodLabels: {team: data}\n',
    ),
    (
        "gcp",
        f"""\
x-env: &env
- {{name: {PATH}, value: "gs://google_cloud_default@acme-xcom/a/b/"}}
commonEnv: *env
annotations: {{iam.gke.io/gcp-service-account: {EMAIL}}}
""",
        {
            "storage": {"bucket": "acme-xcom", "path": "a/b", "location": "US"},
            "xcom": {"connection_id": "google_cloud_default"},
            "identity": {"service_account_id": "astro-agents"},
        },
        "",  # an anchor cannot be cut out by whole lines
    ),
    (
        "aws",
        f"""\
USER-SUPPLIED VALUES:
commonEnv: [{{name: {PATH}, value: s3://aws_default@acme-xcom/x}}]
""",
        {"storage": {"bucket": "acme-xcom", "path": "x"}, "identity": None},
        "workers: [{name: default-worker}]\n",
    ),
]
"""Cloud, values, a part of the proposal, what is left of the values."""


@pytest.mark.parametrize(("cloud", "text", "proposed", "left"), WRITTEN)
def test_other_ways_to_write_the_same(
    cloud: str, text: str, proposed: Body, left: str, run: Run, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    front, head = ("USER-SUPPLIED VALUES:\n", HEAD) if text.startswith("USER") else ("", HEAD)
    values.write_text(front + head + text.removeprefix(front))
    options = ["--set", "storage.location=US", "--set", "project=acme-data"] if cloud == "gcp" else []
    code, _, err = run(cloud, "--import", "--yes", *options, values=values)
    assert code == 0, err
    found = written(tmp_path)
    for key, value in proposed.items():
        assert (found.get(key) or None) == value
    assert (tmp_path / "hand-values.yaml").read_text() == (left or values.read_text())
    stack = synth_file(tmp_path / "deployments.yaml", tmp_path / "out")["hand"]
    assert path_of(stack) == path_in(values.read_text()).rstrip("/")


LEDGER = {
    "aws": "arn:aws:iam::111122223333:role/ledger",
    "azure": "2",
    "gcp": "ledger@acme-data.iam.gserviceaccount.com",
}
MARKS = {"aws": "eks.amazonaws.com/role-arn", "azure": "azure.workload.identity/client-id",
         "gcp": "iam.gke.io/gcp-service-account"}  # fmt: skip
ADOPTED = {
    "aws": {"existing_role": LEDGER["aws"]},
    "azure": {"existing": True, "federate": False, "name": "ledger"},
    "gcp": {"existing_service_account": LEDGER["gcp"]},
}
IMPORTED = {
    "aws": ("role", {"role_name": "ledger"}),
    "azure": ("identity", {"name": "ledger"}),
    "gcp": ("service-account", {"service_account_id": "ledger"}),
}
OTHERS = {"aws": f"{LEDGER['aws']}-not", "azure": "1", "gcp": "agents@acme-data.iam.gserviceaccount.com"}


def values_with(cloud: str, *, marked: tuple[str, ...], others: bool) -> str:
    values = page(cloud, DEFAULTS[cloud])
    values.pop("annotations", None)
    values["commonEnv"] = [each for each in values["commonEnv"] if not each["name"].startswith("AIRFLOW_CONN")]
    own = {"serviceAccount": {"annotations": {MARKS[cloud]: LEDGER[cloud]}}}
    values["workers"] = [{"name": name, **(own if name in marked else {})} for name in ("default-worker", "finance")]
    return yaml.safe_dump({**values, **({"annotations": {MARKS[cloud]: OTHERS[cloud]}} if others else {})})


@pytest.mark.parametrize("cloud", SETTINGS)
@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("way", ["adopted", "imported"])
def test_a_worker_keeps_its_own_identity_for_itself(
    way: str, others: bool, cloud: str, run: Run, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(values_with(cloud, marked=("finance",), others=others))
    options = ["--import"] if way == "imported" else []
    options += ["--set", "storage.location=US"] if (cloud, way) == ("gcp", "imported") else []
    if cloud == "azure":
        options += ["--set", "storage.account=acmexcom"]
        assert run(cloud, *options, values=values)[2] == (
            "identity.workers.finance.name: is in no values file; try --set identity.workers.finance.name=..."
        )
        options += ["--set", "identity.workers.finance.name=ledger"]
    code, out, err = run(cloud, *options, "--yes", values=values)
    assert code == 0, err
    found = written(tmp_path)
    thing, own = IMPORTED[cloud]
    assert found["identity"].pop("workers") == {"finance": ADOPTED[cloud] if way == "adopted" else own}
    assert bool(found["identity"]) is (others or cloud == "azure")
    assert found.get("imports", {}).get(f"worker finance {thing}") is (True if way == "imported" else None)
    assert ("# Other agents than finance name no " in out) is not others


@pytest.mark.parametrize("cloud", SETTINGS)
def test_what_every_worker_carries_is_the_identity_of_all(cloud: str, run: Run, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(values_with(cloud, marked=("default-worker", "finance"), others=False))
    options = ["--set", "storage.account=acmexcom", "--set", "identity.name=ledger"] if cloud == "azure" else []
    assert run(cloud, *options, "--yes", values=values)[0] == 0
    assert written(tmp_path)["identity"] == ADOPTED[cloud]


@pytest.mark.parametrize("cloud", SETTINGS)
@pytest.mark.parametrize("connection", [None, "default", "team_xcom"])
def test_the_path_stays_to_the_letter_with_each_connection_id(
    connection: str | None, cloud: str, run: Run, tmp_path: Path
) -> None:
    name = DEFAULTS[cloud] if connection == "default" else connection
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(page(cloud, name)))
    options = ["--set", "storage.location=US"] if cloud == "gcp" else []
    code, _, err = run(cloud, "--import", "--yes", *options, values=values)
    if cloud == "azure" and name is None:
        assert code == 1
        assert 'you have "abfs://xcom/xcom", the settings can give "abfs://wasb_xcom@xcom/xcom": a value' in err
        return
    assert code == 0, err
    stack = synth_file(tmp_path / "deployments.yaml", tmp_path / "out")["hand"]
    assert path_of(stack) == path_in(values.read_text())


@pytest.mark.parametrize("cloud", SETTINGS)
def test_what_the_values_lack_is_asked_for_or_comes_from_the_defaults(cloud: str, run: Run, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    gone = ("resourceNamePrefix:", "namespace:", "  - name: AIRFLOW_CONN", "    value: '{\"conn")
    lines = (VENDOR / f"{cloud}.yaml").read_text().splitlines(keepends=True)
    values.write_text("".join(line for line in lines if not line.startswith(gone)))
    options = ["--import", *(["--set", "storage.location=US"] if cloud == "gcp" else [])]
    code, _, err = run(cloud, *options, "--yes", values=values)
    assert code == 1
    lacks = ["agent.namespace", "agent.resource_name_prefix", *(["storage.account"] if cloud == "azure" else [])]
    assert err.splitlines() == [f"{each}: is in no values file; try --set {each}=..." for each in lacks]
    defaults = "defaults: {agent: {namespace: astro, resource_name_prefix: prod}}\n"
    (tmp_path / "deployments.yaml").write_text(defaults)
    options += ["--set", "storage.account=acmexcom"] if cloud == "azure" else []
    code, _, err = run(cloud, *options, "--yes", values=values)
    assert code == 0, err
    assert set(written(tmp_path)["agent"]) == {"values_files"}


def test_two_releases_of_one_setup_become_two_deployments(run: Run, tmp_path: Path) -> None:
    """The first imports what both use, the second adopts it."""
    assert run("aws", "--import", "--release", "agents", "--yes")[0] == 0
    values = tmp_path / "second.yaml"
    values.write_text(
        (VENDOR / "aws.yaml").read_text().replace("Prefix: prod", "Prefix: second").replace("heavy", "light")
    )
    options = ("--name", "second", "--release", "second", "--import", "--adopt", "storage", "--adopt", "identity")
    code, _, err = run("aws", *options, "--yes", values=values)
    assert code == 0, err
    found = yaml.safe_load((tmp_path / "deployments.yaml").read_text())["deployments"]
    assert found["second"]["imports"] == {"release": True}
    synth_file(tmp_path / "deployments.yaml", tmp_path / "out")
