"""The probe's manifests, and what its logs come to."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.cli.app import main
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.probe.kubectl import logs
from astro_xcom.probe.manifests import SCRIPTS, Probe, manifests, secrets_left_out, to_yaml
from astro_xcom.probe.report import summed_up, table
from astro_xcom.report.terraform import UNKNOWN, Known, planned
from astro_xcom.yaml_files import parse
from support import EXAMPLE, GOLDEN, PROJECT, Body


def parts(text: str) -> list[str]:
    """The documents of a YAML text."""
    return re.split("^---\n", text, flags=re.MULTILINE)[1:]


KINDS = ("example", "maximal", "existing")
DEPLOYMENTS = [f"{cloud}-{kind}" for cloud in ("aws", "azure", "gcp") for kind in KINDS]


def probe_of(name: str, stacks: Mapping[str, Path], **changes: Any) -> Probe:
    """The probe of a deployment, as if it were applied."""
    body = json.loads((stacks[name] / "cdk.tf.json").read_text())
    cloud = importlib.import_module(f"astro_xcom.report.{name.partition('-')[0]}")
    stack = planned(body, cloud.computed(body), Known())
    applied = UNKNOWN.sub("00000000-0000-0000-0000-000000000000", json.dumps(stack.agent_values, ensure_ascii=False))
    given = {"values": json.loads(applied), "subjects": stack.outputs["trusted_subjects"], "run": "run-1"}
    return Probe(name=name, **{**given, **changes})


def pods(documents: Sequence[Body]) -> list[Body]:
    return [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Job"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_trusted_account_has_one_job_and_there_is_nothing_else(name: str, stacks: dict[str, Path]) -> None:
    probe = probe_of(name, stacks)
    documents = manifests(probe)
    assert [document["kind"] for document in documents] == ["ConfigMap"] + ["Job"] * len(probe.subjects)
    used = [f"system:serviceaccount:{probe.namespace}:{pod['serviceAccountName']}" for pod in pods(documents)]
    assert sorted(used) == sorted(probe.subjects)
    names = [document["metadata"]["name"] for document in documents]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", each) for each in names)
    assert {document["metadata"]["namespace"] for document in documents} == {"astro"}
    assert set(documents[0]["data"]) == set(SCRIPTS)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_secret_is_named_but_those_that_pull_the_image(name: str, stacks: dict[str, Path]) -> None:
    probe = probe_of(name, stacks)
    for pod in pods(manifests(probe)):
        assert pod.get("imagePullSecrets") == [{"name": "astro-pull-secret"}]
        assert "secret" not in json.dumps([pod["volumes"], pod["containers"][0]["env"]]).lower().replace(
            "airflow__secrets__backend", ""
        ).replace("airflow.secrets.local_filesystem", "")
    assert secrets_left_out(probe) == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_kubectl_reads_what_was_meant(name: str, stacks: dict[str, Path]) -> None:
    documents = manifests(probe_of(name, stacks))
    text = to_yaml(documents)
    assert list(yaml.safe_load_all(text)) == documents
    assert [parse(part) for part in parts(text)] == documents, "as Helm's parser reads it"


ODD = {
    "namespace": "astro",
    "resourceNamePrefix": "p",
    "xcomBackend": "a.B",
    "stateStoreBackend": None,
    "image": "top:1",
    "commonEnv": [{"name": "A", "value": "y"}, {"name": "B", "value": "1e3"}, {"name": "API_TOKEN", "value": "hush"}],
    "labels": {"team": "no"},
    "podSecurityContext": {"fsGroup": None, "runAsUser": 1},
    "serviceAccount": {"triggerer": {"name": "shared"}, "dagProcessor": {"name": "shared"}, "sentinel": {"name": "s"}},
    "workers": [
        {
            "name": "w",
            "serviceAccount": {"name": "w" * 60},
            "image": "own:2",
            "imagePullPolicy": "Always",
            "env": [
                {"name": "A", "value": "later"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "AIRFLOW_CONN_X", "value": "aws://id:hush@/"},
                {"name": "AIRFLOW_CONN_Y", "value": '{"extra": "{\\"account_key\\": \\"hush\\"}"}'},
                {"name": "SSL_CERT_FILE", "value": "/ca/ca.pem"},
                {"name": "TOKEN_FILE", "value": "/t"},
            ],
            "nodeSelector": {"pool": "agents"},
            "tolerations": [{"key": "agents", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
            "containerSecurityContext": {"readOnlyRootFilesystem": True},
            "podSecurityContext": {"runAsUser": 7},
        }
    ],
    "triggerer": {"image": "trigger:3"},
    "sentinel": {"image": "sentinel:4"},
}
SUBJECTS = [f"system:serviceaccount:astro:{name}" for name in ("w" * 60, "shared", "s")]


def odd(**changes: Any) -> Probe:
    return Probe(name="odd", values={**ODD, **changes}, subjects=SUBJECTS, run="r")


def test_a_pod_is_that_of_its_component() -> None:
    worker, shared, sentinel = pods(manifests(odd()))
    (container,) = worker["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("own:2", "Always")
    assert {each["name"]: each.get("value") for each in container["env"]} == {
        "AIRFLOW__CORE__XCOM_BACKEND": "a.B", "A": "later", "B": "1e3", "PASSWORD": None,
        "SSL_CERT_FILE": "/ca/ca.pem", "TOKEN_FILE": "/t",
    }  # fmt: skip
    assert worker["nodeSelector"] == {"pool": "agents"}
    assert worker["tolerations"] == [{"key": "agents", "operator": "Exists"}]
    assert worker["affinity"] == {"podAntiAffinity": {}}
    assert [each["name"] for each in worker["volumes"]] == ["ca", "xcom-probe"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/ca", "/xcom-probe"]
    assert container["securityContext"] == {"readOnlyRootFilesystem": True}
    assert worker["securityContext"] == {"runAsUser": 7}
    assert shared["containers"][0]["image"] == "trigger:3", "of the first that uses the account"
    assert sentinel["containers"][0]["image"] == "top:1", "the sentinel's own holds no Airflow"
    assert sentinel["securityContext"] == {"runAsUser": 1, "runAsNonRoot": True}


def test_what_looks_like_a_secret_is_left_out_and_named() -> None:
    text = to_yaml(manifests(odd()))
    assert "hush" not in text
    assert secrets_left_out(odd()) == ["AIRFLOW_CONN_X", "AIRFLOW_CONN_Y", "API_TOKEN"]
    assert [parse(part) for part in parts(text)] == manifests(odd())


def test_a_long_name_is_cut_so_that_it_can_be_a_label() -> None:
    assert len(odd().job_name("w" * 60)) == 63


def test_values_that_do_not_say_enough_are_refused_at_once() -> None:
    unknown = {"commonEnv": [{"name": "A", "value": "(known after apply: client_id of x)"}], "image": None}
    with pytest.raises(SettingErrors) as refused:
        manifests(odd(**unknown))
    assert [re.sub("[(].*[)]; ", "", line) for line in refused.value.lines] == [
        "odd: the agents' environment is not known before the apply try --state with the output of `terraform show "
        "-json`",
        "odd: s-xcom-probe: the values name no image for it",
    ]


def test_pods_of_two_clusters_know_each_other() -> None:
    here = Probe(name="odd", values=ODD, subjects=SUBJECTS[1:], run="r", here="East_1", others=("west",))
    there = Probe(name="odd", values=ODD, subjects=SUBJECTS[1:], run="r", here="west", others=("East_1",))
    assert set(here.everybody) == set(there.everybody) == {"shared--east-1", "s--east-1", "shared--west", "s--west"}
    assert "--account=shared--east-1" in pods(manifests(here))[0]["containers"][0]["args"]


def test_a_former_account_has_no_job() -> None:
    probe = Probe(name="odd", values=ODD, subjects=[*SUBJECTS, "system:serviceaccount:old:w"], run="r")
    assert probe.former == ("system:serviceaccount:old:w",)
    assert len(pods(manifests(probe))) == 3


# ----- reports -----


def line(account: str, *problems: str, run: str = "r", **changes: Any) -> str:
    report = {"xcom_probe": 1, "run": run, "account": account, "airflow": "3.3.2", "path": "s3://b/x",
              "state_store": None, "wrote": 10, "read": 9, "purged": 12, "left": [], "problems": problems}  # fmt: skip
    return json.dumps({**report, **changes})


def test_all_well() -> None:
    text = f"noise\n[pod/a] {line('a')}\n{{\n{line('b')}\n"
    found = summed_up("x", text, expected=["a", "b"])
    assert found.ok
    assert table(found).splitlines() == [
        "service account  Airflow  wrote  read  purged",
        "a                3.3.2    10     9     12      well",
        "b                3.3.2    10     9     12      well",
        "",
        "XComs work: every pod read what every other one wrote below s3://b/x",
    ]


def test_what_is_wrong_is_a_sentence_each() -> None:
    logs_ = "\n".join([line("z", run="earlier"), line("a", "nested: refused"), line("b", path="s3://b/y")])
    found = summed_up("x", logs_, expected=["a", "b", "c"], reasons={"c": "error looking up service account astro/c"})
    assert not found.ok
    assert list(found.problems) == [
        "a: nested: refused",
        "c: no report: the service account does not exist: install the chart, or create the account that `create: "
        "false` names (error looking up service account astro/c)",
        "the pods differ in their path: s3://b/x, s3://b/y",
    ]


@pytest.mark.parametrize(
    "text", ["", "noise", '{"xcom_probe": 1}', '{"xcom_probe": [' * 2000, '{"xcom_probe": 1, "run": 3']
)
def test_no_report_is_a_failure(text: str) -> None:
    found = summed_up("x", text, expected=["a"])
    assert not found.ok
    assert found.problems[0].startswith("a: no report: its log is not there")


def test_a_log_does_not_reach_the_terminal_as_it_is() -> None:
    found = summed_up("x", line("a\x1b[2J", "x: y\r\x07"), expected=[])
    assert not {"\x1b", "\r", "\x07"} & set(table(found))
    assert "- a\\u001b[2J: x: y\\r\\u0007" in table(found)


class Cluster:
    """Answers as kubectl does."""

    def __init__(self, **jobs: tuple[str, str, str]) -> None:
        self.jobs = jobs
        self.asked: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(" ".join(arguments))
        if arguments[:2] == ["get", "pods"]:
            return '{"items": []}'
        if arguments[:2] == ["get", "events"]:
            items = [{"involvedObject": {"name": job}, "type": "Warning", "message": event}
                     for job, (_, _, event) in self.jobs.items() if event]  # fmt: skip
            return json.dumps({"items": items})
        job = arguments[-1].removeprefix("job/") if arguments[0] == "logs" else arguments[2]
        condition, log, _ = self.jobs[job]
        if arguments[0] == "logs":
            if not log:
                raise SettingError("no pod")
            return log
        return json.dumps({"status": {"conditions": [{"type": condition, "status": "True"}] if condition else []}})


def test_kubectl_is_asked_until_every_job_has_ended() -> None:
    cluster = Cluster(
        good=("Complete", line("a"), ""),
        bad=("Failed", line("b", "x: y"), ""),
        never=("", "", 'pods "never-" is forbidden: error looking up service account astro/c: not found'),
    )
    text, reasons = logs(cluster, {"a": "good", "b": "bad", "c": "never"}, minutes=1)
    assert [pod.account for pod in summed_up("x", text, expected=[]).pods] == ["a", "b"]
    assert list(reasons) == ["c"]
    assert "error looking up service account" in reasons["c"]


# ----- the command -----


def said(*arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, str]:
    monkeypatch.setattr(sys, "argv", ["astro-xcom", "probe", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


Tools = tuple[pytest.CaptureFixture[str], pytest.MonkeyPatch]
FILE = str(EXAMPLE / "deployments.yaml")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: said(*arguments, capsys=capsys, monkeypatch=monkeypatch)


def test_the_command_writes_manifests_and_what_removes_them(command: Any, tmp_path: Path) -> None:
    status, out, err = command("aws-example", "--file", FILE, "--output", str(tmp_path / "probe.yaml"))
    assert (status or 0, out, err) == (0, "", "")
    documents = list(yaml.safe_load_all((tmp_path / "probe.yaml").read_text()))
    status, out, _ = command("aws-example", "--file", FILE, "--delete", "--context", "prod")
    assert out.startswith("kubectl --namespace astro --context prod delete --ignore-not-found job/")
    assert sorted(out.split()[7:]) == sorted(
        f"{document['kind'].lower()}/{document['metadata']['name']}" for document in documents
    )


def test_a_run_is_another_each_time_unless_it_is_named(command: Any) -> None:
    once, again = (command("aws-example", "--file", FILE)[1] for _ in range(2))
    assert once != again
    assert "--run=mine" in command("aws-example", "--file", FILE, "--run", "mine")[1]


def test_the_command_reports(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "logs"
    accounts = [
        f"prod-aws-{each}"
        for each in ("worker-default-worker", "worker-heavy", "dag-processor", "triggerer", "sentinel")
    ]
    file.write_text("\n".join(map(line, accounts)))
    assert command("aws-example", "--file", FILE, "--report", str(file))[0] == 0
    file.write_text(line(accounts[0]))
    status, out, _ = command("aws-example", "--file", FILE, "--report", str(file), "--json")
    assert status == 1
    assert len(json.loads(out)["problems"]) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["azure-example"], "azure-example: the agents' environment is not known before the apply"),
        (["aws"], "a deployment must be one of"),
        (["aws-example", "--delete", "--kubectl"], "--delete is not of --report"),
        (["aws-example", "--json"], "--json is of --report and --kubectl"),
        (["aws-example", "--kubectl", "--report", "logs"], "--kubectl reads the logs itself"),
        (["aws-example", "--cluster", "nowhere"], "--cluster: must be one of"),
        (["aws-example", "--report", "/nowhere"], "/nowhere: cannot be read"),
        (["aws-example", "--state", str(GOLDEN / "aws" / "aws-example.json")], "aws-example.json: "),
    ],
)
def test_the_command_refuses_in_words(arguments: list[str], message: str, command: Any) -> None:
    status, out, err = command(arguments[0], "--file", FILE, *arguments[1:])
    assert out == ""
    assert message in f"{status}{err}"
    assert "Traceback" not in err


# ----- make probe -----

PROGRAMS = {
    "python": f'exec {sys.executable} "$@"',
    "pipenv": 'shift; exec "$@"',
    "astro-xcom": f'exec {sys.executable} -c "from astro_xcom.cli.app import main; main()" "$@"',
    "terraform": "cat state.json",
    "kubectl": f'exec {sys.executable} kubectl.py "$@"',
}
KUBECTL = """
import json, pathlib, shutil, sys, yaml
given = " ".join(sys.argv[1:])
with open("calls", "a") as calls:
    calls.write(given + "\\n")
if " logs " in given:
    jobs = yaml.safe_load_all(pathlib.Path("applied.yaml").read_text())
    (job,) = [each for each in jobs if given.endswith(f" job/{each['metadata']['name']}")]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    args = dict(each.split("=", 1) for each in container["args"])
    report = json.loads(pathlib.Path("report.json").read_text())
    print(json.dumps({**report, "run": args["--run"], "account": args["--account"]}))
elif " get " in given:
    print(json.dumps({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}))
elif "apply" in given:
    shutil.copy(sys.argv[-1], "applied.yaml")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "verdict"), [((), "XComs work"), (("nested: refused",), "XComs do not work")])
def test_make_probe_applies_tells_and_removes(
    problems: tuple[str, ...], verdict: str, stacks: dict[str, Path], tmp_path: Path
) -> None:
    body = json.loads((stacks["aws-example"] / "cdk.tf.json").read_text())
    applied = planned(body, importlib.import_module("astro_xcom.report.aws").computed(body), Known())
    outputs = {**applied.outputs, "agent_values": yaml.safe_dump(applied.agent_values)}
    (tmp_path / "state.json").write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    (tmp_path / "report.json").write_text(line("", *problems))
    (tmp_path / "kubectl.py").write_text(KUBECTL)
    (tmp_path / "bin").mkdir()
    for name, script in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tools").symlink_to(PROJECT / "tools")
    ready = [f"--old-file={each}" for each in (".venv/.ready", ".pipenv/bin/pipenv")]
    command = ["make", f"--makefile={PROJECT / 'Makefile'}", *ready, "probe", "STACK=aws-example"]
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert verdict in done.stdout, done.stdout + done.stderr
    assert (done.returncode != 0) == bool(problems)
    calls = [
        each.replace("--namespace astro ", "").split()[0] for each in (tmp_path / "calls").read_text().splitlines()
    ]
    assert [calls[0], calls[1], calls[-1]] == ["delete", "apply", "delete"], "one of a run before this, first"
    assert set(calls[2:-1]) == {"get", "logs"}
