"""The real flow from deployments.yaml: every bad setting gives its one message, and leaves everything as it was."""

import copy
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.chart_values import release_values, xcom_values
from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingErrors
from astro_xcom.report import check
from astro_xcom.settings import AwsDeployment, Deployment
from astro_xcom.synthesis import synthesized
from astro_xcom.xcom import BRANCH_SAFE, PodIdentity
from support import EXAMPLE, PROJECT

Yaml = dict[str, Any]

GOOD: Yaml = {
    "cloud": "aws",
    "region": "us-east-1",
    "cluster": {"name": "data-prod"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"bucket": "acme-xcom"},
}
BAD: list[Yaml] = yaml.safe_load((PROJECT / "tests" / "bad_settings_aws.yaml").read_text(encoding="utf-8"))


def put(values: Yaml, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        values = values.setdefault(key, {})
    values[last] = value


def without(values: Yaml, path: str) -> None:
    *parents, last = path.split(".")
    for key in parents:
        values = values[key]
    del values[last]


def changed(**changes: Any) -> Yaml:
    """The good deployment with other settings; `__` stands for a dot."""
    values = copy.deepcopy(GOOD)
    for path, value in changes.items():
        put(values, path.replace("__", "."), value)
    return values


def another(**changes: Any) -> Yaml:
    """The same with a bucket of its own."""
    return changed(storage__bucket="acme-other", agent__namespace="other", **changes)


def bad(case: Yaml) -> Yaml:
    values = copy.deepcopy(GOOD)
    for path, value in case.get("set", {}).items():
        put(values, path, value)
    if "remove" in case:
        without(values, case["remove"])
    return values


def place(case: Yaml) -> str:
    return str(case.get("at") or case.get("remove") or next(iter(case["set"])))


def read(content: Yaml | str, folder: Path) -> dict[str, Deployment]:
    """What main.py does first. JSON is YAML, and quotes every text."""
    file = folder / "deployments.yaml"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return read_deployments(file)


def refused(content: Yaml | str, folder: Path) -> list[str]:
    with pytest.raises(SettingErrors) as caught:
        read(content, folder)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def label(case: Yaml) -> str:
    changes = [f"{path}={json.dumps(value, ensure_ascii=False)}" for path, value in case.get("set", {}).items()]
    return re.sub(r"[^\w=.-]+", "_", " ".join(changes) or f"no {case['remove']}", flags=re.ASCII)[:70]


@pytest.mark.parametrize("case", BAD, ids=label)
def test_a_bad_setting_gives_its_one_line(case: Yaml, tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"aws-test": bad(case)}}, tmp_path)
    assert line.startswith(f"deployments.yaml: aws-test.{place(case)}: ")
    assert case["says"] in line.removeprefix(f"deployments.yaml: aws-test.{place(case)}: ")
    assert "\n" not in line


@pytest.mark.parametrize("written", ["012345671234", "0x1F", "1_000", "0123", "1.50", "1e3"])
def test_a_number_in_place_of_text_is_shown_as_it_was_written(written: str, tmp_path: Path) -> None:
    text = json.dumps({"deployments": {"aws-test": {**GOOD, "account_id": "X", "tags": {"dept": "Y"}}}})
    lines = refused(text.replace('"X"', written).replace('"Y"', written), tmp_path)
    assert lines == [
        f'deployments.yaml: aws-test.{place}: must be text (in quotes); got {written}; try "{written}"'
        for place in ("account_id", "tags.dept")
    ]


def test_no_refusal_shows_a_login(tmp_path: Path) -> None:
    for field in ("repository", "chart"):
        for url in ("https://user:hunter2@charts.acme.example", ["https://user:hunter2@charts.acme.example"]):
            (line,) = refused({"deployments": {"aws-test": bad({"set": {f"agent.{field}": url}})}}, tmp_path)
            assert "hunter2" not in line


def test_the_good_deployment_is_good(tmp_path: Path) -> None:
    (deployment,) = read({"deployments": {"aws-test": GOOD}}, tmp_path).values()
    assert isinstance(deployment, AwsDeployment)
    assert deployment.storage.bucket == "acme-xcom"


# ---- several problems


def test_the_problems_of_all_deployments_come_together_in_the_files_order(tmp_path: Path) -> None:
    content = {
        "deployments": {
            "zulu": changed(region="x", storage__bucket="B"),
            "alpha": changed(xcom__compression="gz"),
            "good": GOOD,
            "Bad_Name": GOOD,
            "mike": changed(agent__values={"agentToken": "x"}, cluster__nmae="y"),
        }
    }
    places = [line.split(": ")[1] for line in refused(content, tmp_path)]
    assert [place.partition(".")[0] for place in places] == ["zulu", "zulu", "alpha", "Bad_Name", "mike", "mike"]
    assert {"zulu.region", "zulu.storage.bucket", "alpha.xcom.compression"} < set(places)


def test_every_problem_of_the_chart_values_has_a_line(tmp_path: Path) -> None:
    values = {"agentToken": "x", "imagePullSecretData": "x", "commonEnv": [{"name": "A", "value": 1}, {"name": "A"}]}
    assert len(refused({"deployments": {"a": changed(agent__values=values)}}, tmp_path)) == 4


def test_a_problem_in_the_defaults_is_told_once_and_at_its_place(tmp_path: Path) -> None:
    content = {
        "defaults": {"xcom": {"threshold": -1}},
        "deployments": {"a": GOOD, "b": another()},
    }
    (line,) = refused(content, tmp_path)
    assert line.startswith("deployments.yaml: defaults.xcom.threshold: must be 0 or more bytes")


def test_a_problem_of_the_deployment_itself_is_not_blamed_on_the_defaults(tmp_path: Path) -> None:
    content = {"defaults": {"xcom": {"threshold": 1}}, "deployments": {"a": changed(xcom__threshold=-1)}}
    (line,) = refused(content, tmp_path)
    assert line.startswith("deployments.yaml: a.xcom.threshold: ")


def test_a_stacks_whole_list_of_missing_settings(tmp_path: Path) -> None:
    assert refused("deployments: {a: {cloud: aws}}", tmp_path) == [
        f"deployments.yaml: a.{setting}: is required" for setting in ("cluster", "storage", "agent", "region")
    ]


# ---- the file


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "deployments: must hold at least one deployment, by name; got null"),
        ("# nothing yet\n", "deployments: must hold at least one deployment, by name; got null"),
        ("deployments:\n", "deployments: must hold at least one deployment, by name; got null"),
        ("deployments: {}\n", "deployments: must hold at least one deployment, by name; got {}"),
        ("deployments: [a]\n", 'deployments: must hold at least one deployment, by name; got ["a"]'),
        ("deployments: {a: }\n", "a: must be a mapping of settings; got null"),
        ("deployments: {a: aws}\n", 'a: must be a mapping of settings; got "aws"'),
        ("- a\n", 'must be a mapping of keys to values; got ["a"]'),
        ("deployments\n", 'must be a mapping of keys to values; got "deployments"'),
        ("deployments: {a: {}, a: {}}\n", 'line 1: the key "a" stands twice (first in line 1)'),
        ("deployments:\n  1: {}\n", "line 2: a key must be text: quote it"),
        ("deployments:\n  a: [\n", "line "),
        ("deployments: {\x07}\n", "line 1: "),
        ('deployments: !!int ""\n', "line 1: "),
    ],
)
def test_a_file_that_holds_no_deployments(content: str, says: str, tmp_path: Path) -> None:
    (line,) = refused(content, tmp_path)
    assert line.startswith(f"deployments.yaml: {says}")


def test_a_misspelt_top_level_key(tmp_path: Path) -> None:
    lines = refused({"deployment": {"a": GOOD}}, tmp_path)
    assert (
        lines[0] == "deployments.yaml: deployment: is not a setting; there are defaults, deployments; try deployments"
    )


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingErrors, match=rf"^{tmp_path}/deployments\.yaml: no such file$"):
        read_deployments(tmp_path / "deployments.yaml")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingErrors, match=rf"^{tmp_path}: cannot be read: Is a directory$"):
        read_deployments(tmp_path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "deployments.yaml").write_bytes("deployments: {ä: {}}".encode("latin-1"))
    with pytest.raises(SettingErrors, match=r"^deployments\.yaml: cannot be read: not UTF-8 text$"):
        read_deployments(tmp_path / "deployments.yaml")


@pytest.mark.parametrize("name", ["My_Data", "a.b", "-a", "", "a" * 49, "ü", "a b"])
def test_names_a_stack_cannot_have(name: str, tmp_path: Path) -> None:
    (line,) = refused({"deployments": {name: GOOD}}, tmp_path)
    assert line.startswith(f"deployments.yaml: {name}: must be 1-48 lower-case letters")


def test_a_name_with_a_line_break_is_refused_in_one_line(tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"a\nb": GOOD}}, tmp_path)
    assert "\n" not in line


@settings(max_examples=40, deadline=None, derandomize=True)
@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\r\t")))
@pytest.mark.parametrize("path", ["region", "identity.path", "agent.namespace", "storage.path", "tags", "agent.nmae"])
def test_whatever_text_is_refused_its_message_is_one_line(
    path: str, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = copy.deepcopy(GOOD)
    put(values, path, {text: 1} if path == "tags" else text)
    try:
        read({"deployments": {"a": values}}, tmp_path_factory.getbasetemp())
    except SettingErrors as error:
        (line,) = error.lines
        assert not set("\n\r") & set(line)


# ---- defaults


def test_defaults_lie_under_every_deployment(tmp_path: Path) -> None:
    content = {
        "defaults": {"xcom": {"compression": "xz"}},
        "deployments": {"a": GOOD, "b": another()},
    }
    assert [deployment.xcom.compression for deployment in read(content, tmp_path).values()] == ["xz", "xz"]


def test_a_deployment_wins_over_the_defaults_key_by_key(tmp_path: Path) -> None:
    content = {
        "defaults": {"xcom": {"compression": "xz", "retention_days": 60}},
        "deployments": {"a": changed(xcom__compression="gzip")},
    }
    xcom = read(content, tmp_path)["a"].xcom
    assert (xcom.compression, xcom.retention_days) == ("gzip", 60)


def test_a_list_replaces_the_list_of_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("image: one")
    (tmp_path / "two.yaml").write_text("image: two")
    content = {
        "defaults": {"agent": {"values_files": ["one.yaml"]}},
        "deployments": {"a": changed(agent__values_files=["two.yaml"])},
    }
    assert read(content, tmp_path)["a"].agent.user_values() == {"image": "two"}


def test_null_in_a_deployment_switches_a_default_off(tmp_path: Path) -> None:
    content = {"defaults": {"state_store": {"path": "state"}}, "deployments": {"a": changed(state_store=None)}}
    assert read(content, tmp_path)["a"].state_store is None


@pytest.mark.parametrize("empty", ["defaults:\n", "defaults: {}\n", ""])
def test_defaults_may_be_empty(empty: str, tmp_path: Path) -> None:
    assert list(read(f"{empty}deployments: {json.dumps({'a': GOOD})}", tmp_path)) == ["a"]


@pytest.mark.parametrize("defaults", ["all", ["xcom"], [], 0, False, ""])
def test_defaults_are_a_mapping(defaults: Any, tmp_path: Path) -> None:
    (line,) = refused({"defaults": defaults, "deployments": {"a": GOOD}}, tmp_path)
    assert line.startswith("deployments.yaml: defaults: must be a mapping; got ")


# ---- values files


def test_values_files_lie_beside_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project" / "values.yaml").write_text("image: mine")
    (tmp_path / "elsewhere" / "values.yaml").write_text("image: other")
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = read({"deployments": {"a": changed(agent__values_files=["values.yaml"])}}, tmp_path / "project")
    assert found["a"].agent.user_values() == {"image": "mine"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("image: a\nimage: b\n", 'line 2: the key "image" stands twice (first in line 1)'),
        ("a:\n\tb: 1\n", "line 2: "),
        ("- image: a\n", 'must be a mapping of keys to values; got [{"image": "a"}]'),
        ("big: 9007199254740993\n", "line 1: Helm cannot hold the number 9007199254740993 exactly: quote it"),
        ("agentToken: secret\n", "agentToken: would stand in Terraform's state in clear"),
    ],
)
def test_a_bad_values_file_is_named_with_its_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(content)
    (line,) = refused({"deployments": {"a": changed(agent__values_files=["values.yaml"])}}, tmp_path)
    assert re.match(r"deployments\.yaml: a\.agent\.values_files(\[0\])?: values\.yaml: " + re.escape(says), line)


def test_two_values_files_that_disagree_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("image: one")
    (tmp_path / "two.yaml").write_text("image: two")
    (line,) = refused({"deployments": {"a": changed(agent__values_files=["one.yaml", "two.yaml"])}}, tmp_path)
    assert line.startswith("deployments.yaml: a.agent")
    assert line.endswith('two.yaml: image: "two" here, "one" in one.yaml; keep one of them')


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"commonEnv": None},
        {"commonEnv": []},
        {"workers": None},
        {"workers": []},
        {"annotations": None},
        {"labels": None},
        {"serviceAccount": None},
        {"serviceAccount": {"workers": None}},
        {"serviceAccount": {"triggerer": None}},
        {"serviceAccount": {"triggerer": "mine"}},
        {"serviceAccount": {"triggerer": {"name": None}}},
        {"serviceAccount": {"triggerer": {"name": ""}}},
        {"workers": [{"name": "a", "serviceAccount": None}]},
        {"workers": [{"name": "a", "serviceAccount": "mine"}]},
        {"workers": [{"name": "a", "serviceAccount": {"name": None}}]},
        {"xcomBackend": None},
        {"createNamespace": None},
    ],
)
def test_values_that_are_read_do_not_contradict_ours_later(values: Yaml, tmp_path: Path) -> None:
    # A refusal while the file is read names the deployment and comes with all others; a later one does not.
    try:
        agent = read({"deployments": {"a": changed(agent__values=values)}}, tmp_path)["a"].agent
    except SettingErrors:
        return
    ours = xcom_values(
        namespace=agent.namespace,
        resource_name_prefix=agent.resource_name_prefix,
        accounts=agent.service_accounts(),
        variables={"A": "1"},
        pod_identity=PodIdentity(annotations={"a": "b"}, labels={"c": "d"}),
        state_store=False,
    )
    release_values(agent.sources(), ours)


# ---- state


S3 = {"bucket": "acme-state", "region": "us-east-1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"local": {"path": "x"}}, {"local": {"path": "x"}}),
        ({"local": {"path": "x"}}, {"local": {"path": "./x"}}),
        ({"local": {"path": "terraform.b.tfstate"}}, {"local": {}}),
        ({"local": {"path": "terraform.b.tfstate"}}, None),
        ({"s3": {**S3, "key": "x"}}, {"s3": {**S3, "key": "x"}}),
        ({"s3": {**S3, "key": "astro-xcom/b.tfstate"}}, {"s3": S3}),
        (
            {"s3": {**S3, "key": "x"}},
            {"s3": {**S3, "key": "x", "kms_key_arn": "arn:aws:kms:us-east-1:111122223333:key/1"}},
        ),
    ],
)
def test_two_deployments_in_one_state_are_refused(one: Any, other: Any, tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"a": changed(state=one), "b": another(state=other)}}, tmp_path)
    assert line.startswith("deployments.yaml: b.state")
    assert "is the state of a too" in line


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, None),
        ({"local": {}}, {"local": {}}),
        ({"s3": S3}, {"s3": S3}),
        ({"s3": {**S3, "key": "x"}}, {"s3": {**S3, "bucket": "acme-other", "key": "x"}}),
        ({"local": {"path": "x"}}, {"s3": {**S3, "key": "x"}}),
    ],
)
def test_states_of_their_own_are_fine(one: Any, other: Any, tmp_path: Path) -> None:
    assert set(
        read(
            {"deployments": {"a": changed(state=one), "b": another(state=other)}},
            tmp_path,
        )
    ) == {"a", "b"}


# ---- warnings


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"xcom__retention_days": 13}, "xcom.retention_days: 13 is short"),
        ({"xcom__threshold": 1001}, "xcom.threshold: values below 1001 bytes stay in Astro's database"),
        ({}, "agent: the chart needs a value for secretBackend"),
        ({}, "state_store: chart 2.3.3 switches a state store on"),
        ({"storage__existing": True}, "storage.existing: values expire only by the storage's own lifecycle"),
        (
            {"trusted_clusters": [{"name": f"standby-{n}"} for n in range(3)]},
            "identity: the trust policy will have 2",
        ),
        ({}, "agent: the chart needs a value for astroDeploymentAPIURL"),
        (
            {"cluster": {"name": "data", "region": "eu-west-1"}},
            "cluster.region: is in eu-west-1, and the storage is in",
        ),
        (
            {"trusted_clusters": [{"name": "data-2"}, {"name": "data-3", "region": "eu-west-1"}]},
            "trusted_clusters[1].region: is in eu-west-1",
        ),
    ],
)
def test_what_is_allowed_and_surprises_is_warned_of(changes: Yaml, says: str, tmp_path: Path) -> None:
    warnings = read({"deployments": {"a": changed(**changes)}}, tmp_path)["a"].warnings()
    assert any(warning.startswith(says) for warning in warnings)


@pytest.mark.parametrize(
    "blank",
    [{"namespace": None}, {"resourceNamePrefix": None}, {"xcomBackend": None}, {"xcomBackend": ""}, {"labels": None},
     {"createNamespace": None}, {"annotations": None}, {"commonEnv": None}, {"serviceAccount": None}],
)  # fmt: skip
def test_the_blanks_of_the_vendors_template_are_not_given(blank: Yaml, tmp_path: Path) -> None:
    ((name, deployment),) = read({"deployments": {"a": changed(agent__values=blank)}}, tmp_path).items()
    body = synthesized({name: deployment}, file="deployments.yaml")[name]
    report = check(deployment, body)
    assert report.namespace == deployment.agent.namespace
    assert report.xcom.backend.endswith(".XComObjectStorageBackend")
    (document,) = [local for local in body["locals"].values() if "xcomBackend" in local]
    assert [key for key, value in document.items() if value is None and key in blank] in ([], ["labels"])


def test_the_chart_creates_no_namespace(tmp_path: Path) -> None:
    with pytest.raises(SettingErrors, match=r"createNamespace: remove it; agent\.create_namespace does that"):
        read({"deployments": {"a": changed(agent__values={"createNamespace": True})}}, tmp_path)


def test_a_backend_of_ones_own_is_a_setting(tmp_path: Path) -> None:
    own = "acme.xcom.Own"
    given = changed(xcom__backend=own, agent__values={"xcomBackend": own})
    ((name, deployment),) = read({"deployments": {"a": given}}, tmp_path).items()
    report = check(deployment, synthesized({name: deployment}, file="deployments.yaml")[name])
    assert report.xcom.backend == own
    assert f"The agents' image must have the class {own}: no agent starts without it." in report.for_others
    for wrong in ("Backend", "a b.C", "a.b-c", "a..b", ""):
        with pytest.raises(SettingErrors, match=r"xcom\.backend: must be a Python class with its module"):
            read({"deployments": {"a": changed(xcom__backend=wrong)}}, tmp_path)
    with pytest.raises(
        SettingErrors, match=r'xcomBackend: "x.Y" here, "airflow\..*" in xcom.backend; keep one of them'
    ):
        read({"deployments": {"a": changed(agent__values={"xcomBackend": "x.Y"})}}, tmp_path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"xcom__threshold": 0}, ["cannot read what a branch or a short circuit decided (", "xcom.threshold: 1000"]),
        ({"xcom__threshold": 999}, ["if that takes 999 bytes or more", "xcom.threshold: 1000"]),
        ({"xcom__threshold": 1000}, ["if that takes 1000 bytes or more"]),
        ({"xcom__backend": "acme.xcom.Own"}, ["cannot read what a branch or a short circuit decided ("]),
        ({"xcom__backend": BRANCH_SAFE}, None),
        ({"xcom__backend": f"acme.{BRANCH_SAFE}"}, None),
    ],
)
def test_what_is_said_of_branches(settings: Yaml, says: list[str] | None, tmp_path: Path) -> None:
    ((name, deployment),) = read({"deployments": {"a": changed(**settings)}}, tmp_path).items()
    report = check(deployment, synthesized({name: deployment}, file="deployments.yaml")[name])
    found = [text for text in report.always if "apache/airflow#50491" in text]
    assert len(found) == (says is not None)
    for part in says or ():
        assert part in found[0]
    assert all(("xcom.threshold: 1000" in text) == (deployment.xcom.threshold < 1000) for text in found)
    assert not [text for text in report.warnings if text.startswith("xcom.threshold")]


def test_no_warning_without_a_reason(tmp_path: Path) -> None:
    needed = ("secretBackend", "astroDeploymentAPIURL", "image", "imagePullSecretName", "agentTokenSecretName")
    values = dict.fromkeys(needed, "x")
    found = read(
        {"deployments": {"a": changed(xcom__retention_days=14, agent__values=values, state_store__path="state")}},
        tmp_path,
    )
    assert found["a"].warnings() == []


# ---- the whole program


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "folder"
        for file in folder.rglob("*")
    }


@dataclass(frozen=True)
class Refusal:
    """main.py after it met a broken file."""

    code: int
    out: str
    told: list[str]
    loaded: set[str]
    before: dict[str, str]
    after: dict[str, str]


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> Refusal:
    """main.py in a project with the output of an earlier synthesis, and a deployments.yaml that is wrong twice."""
    folder = tmp_path_factory.mktemp("project")
    stack = folder / "cdktf.out" / "stacks" / "a"
    stack.mkdir(parents=True)
    (stack / "cdk.tf.json").write_text('{"sentinel": true}')
    (folder / "cdktf.out" / "manifest.json").write_text("{}")
    (folder / "terraform.a.tfstate").write_text("{}")
    shutil.copy(PROJECT / "main.py", folder)
    content = {"deployments": {"a": changed(storage__bucket="My_Data"), "b": changed(region="x")}}
    (folder / "deployments.yaml").write_text(json.dumps(content))
    before = hashes(folder)
    command = [sys.executable, "-X", "importtime", "main.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    return Refusal(
        code=done.returncode,
        out=done.stdout,
        told=[line for line in lines if not line.startswith("import time:")],
        loaded={line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")},
        before=before,
        after=hashes(folder),
    )


def test_main_ends_with_1(refusal: Refusal) -> None:
    assert refusal.code == 1


def test_main_says_what_is_wrong_and_nothing_else(refusal: Refusal) -> None:
    assert refusal.out == ""
    assert [line.split(": ")[:2] for line in refusal.told] == [
        ["deployments.yaml", "a.storage.bucket"],
        ["deployments.yaml", "b.region"],
    ]


def test_main_changes_no_file_when_it_refuses(refusal: Refusal) -> None:
    assert len(refusal.before) == 8
    assert refusal.after == refusal.before


def test_main_refuses_before_it_starts_cdktf(refusal: Refusal) -> None:
    assert "astro_xcom.deployments" in refusal.loaded
    assert not {"cdktf", "jsii", "constructs"} & refusal.loaded


def test_a_bucket_is_made_by_one_deployment(tmp_path: Path) -> None:
    (line,) = refused({"deployments": {"a": GOOD, "b": changed(agent__namespace="other")}}, tmp_path)
    assert line.startswith("deployments.yaml: b.storage.bucket: is created by a too; ")
    shared = {"deployments": {"a": GOOD, "b": changed(storage__existing=True, agent__namespace="other")}}
    assert set(read(shared, tmp_path)) == {"a", "b"}


SHARING: Yaml = {"storage__existing": True, "agent__namespace": "other"}


@pytest.mark.parametrize(
    ("xcoms", "state", "hint"),
    [
        ("xcom", "xcom", '"state-b"'),
        ("xcom", "xcom/b", '"state-b"'),
        ("team/xcom", "team", '"state-b"'),
        ("", "state", "a bucket or container of its own"),
    ],
)
def test_a_state_store_where_another_deployments_xcoms_expire(
    xcoms: str, state: str, hint: str, tmp_path: Path
) -> None:
    other = changed(storage__path="mine", state_store__path=state, **SHARING)
    shared = ["mine"] if xcoms else []
    rule = f'must not contain storage.path of a ("{xcoms}"), in the same storage, or be inside it'
    line = f'b.state_store.path: {rule}: XComs expire, state must not; got "{state}"; try {hint}'
    content = {"a": changed(storage__path=xcoms, storage__shared_paths=shared), "b": other}
    assert refused({"deployments": content}, tmp_path) == [f"deployments.yaml: {line}"]
    assert refused({"deployments": dict(reversed(content.items()))}, tmp_path) == [f"deployments.yaml: {line}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"state_store__path": "state", **SHARING}),
        ({"state_store__path": "state"}, {"state_store__path": "state", **SHARING}),
        ({}, {"state_store__path": "xcom-state", **SHARING}),
        ({}, {"storage__path": "mine", "state_store__path": "xcom/b", **SHARING, "storage__bucket": "acme-other"}),
    ],
)
def test_a_state_store_beside_another_deployments_xcoms(one: Yaml, other: Yaml, tmp_path: Path) -> None:
    assert set(read({"deployments": {"a": changed(**one), "b": changed(**other)}}, tmp_path)) == {"a", "b"}


def azure(storage: Yaml, **settings: Any) -> Yaml:
    return {
        "cloud": "azure",
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "astro", "existing": True},
        "cluster": {"name": "data-prod", "resource_group": "aks-data"},
        "agent": {"namespace": "astro", "resource_name_prefix": "prod", "release": False},
        "storage": storage,
        **settings,
    }


def test_on_azure_a_container_is_shared_and_not_an_account(tmp_path: Path) -> None:
    there = {"account": "acmexcom", "container": "shared", "existing": "container"}
    one = azure({"account": "acmexcom", "container": "shared", "shared_paths": ["mine"]})

    def other(**storage: Any) -> Yaml:
        return azure({**there, "path": "mine", **storage}, state_store={"path": "xcom/b"})

    (line,) = refused({"deployments": {"a": one, "b": other()}}, tmp_path)
    assert line.startswith('deployments.yaml: b.state_store.path: must not contain storage.path of a ("xcom")')
    (line,) = refused({"deployments": {"a": one, "b": other(container="theirs")}}, tmp_path)
    assert line.startswith("deployments.yaml: b.storage.container: is in the account that a creates")
    assert read({"deployments": {"a": one, "b": other(account="acmeother")}}, tmp_path)


def test_accounts_that_get_their_names_from_deployments_are_not_shared(tmp_path: Path) -> None:
    other = azure({"path": "mine"}, state_store={"path": "xcom/b"})
    assert read({"deployments": {"a": azure({}), "b": other}}, tmp_path)


def test_buckets_of_two_clouds_are_not_shared(tmp_path: Path) -> None:
    other = {
        "cloud": "gcp",
        "project": "acme-data",
        "cluster": {"name": "data-prod", "location": "us-central1"},
        "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
        "storage": {"bucket": "acme-xcom", "location": "us-central1", "path": "mine"},
        "state_store": {"path": "xcom/b"},
    }
    assert read({"deployments": {"a": GOOD, "b": other}}, tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"), [("gcloud", "gcp"), ("Google-Cloud", "gcp"), ("EKS", "aws"), ("AWS", "aws"), ("GCP", "gcp")]
)
def test_other_names_of_a_cloud_lead_to_its_own(given: str, meant: str, tmp_path: Path) -> None:
    assert refused({"deployments": {"a": changed(cloud=given)}}, tmp_path) == [
        f'deployments.yaml: a.cloud: must be one of aws, azure, gcp; got "{given}"; try {meant}'
    ]


def test_the_cloud_may_stand_in_the_defaults(tmp_path: Path) -> None:
    content = {"defaults": {"cloud": "aws"}, "deployments": {"a": {key: GOOD[key] for key in GOOD if key != "cloud"}}}
    assert read(content, tmp_path)["a"] == read({"deployments": {"a": GOOD}}, tmp_path)["a"]


def test_a_release_has_a_name_of_its_own_in_its_namespace(tmp_path: Path) -> None:
    content = {"deployments": {"a": GOOD, "b": changed(storage__bucket="acme-other")}}
    assert [line.split(": ")[1] for line in refused(content, tmp_path)] == [
        "b.agent.release_name",
        "b.agent.resource_name_prefix",
    ]


def test_a_role_is_made_by_one_deployment(tmp_path: Path) -> None:
    role = {"role_name": "shared"}
    (line,) = refused({"deployments": {"a": changed(identity=role), "b": another(identity=role)}}, tmp_path)
    assert line.startswith("deployments.yaml: b.identity.role_name: is created by a too")


FIVE: dict[str, dict[str, object]] = {
    "aws": {
        "bucket": "Acme_XCom",
        "encryption": "SSE-KSM",
        "force_destroy": True,
        "former_kms_key_arns": ["a-key"],
        "pathh": "xcom",
    },
    "azure": {
        "account": "Acme-XCom",
        "replication": "LSR",
        "path": "/xcom",
        "resource_group": "theirs",
        "public_access": True,
    },
    "gcp": {
        "bucket": "Acme XCom",
        "encryption": "customer-manged",
        "force_destroy": True,
        "soft_delete_days": 1,
        "pathh": "xcom",
    },
}
"""Five mistakes of one section: of form, of a name, of an unknown key, and of settings together."""


@pytest.mark.parametrize("cloud", FIVE)
def test_five_mistakes_of_a_section_come_in_one_round(cloud: str, tmp_path: Path) -> None:
    body = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    example = body["deployments"][f"{cloud}-example"]
    example["agent"]["values"] = {}
    storage: dict[str, object] = {"location": example["storage"]["location"]} if cloud == "gcp" else {}
    body["defaults"].get("agent", {}).pop("values_files", None)
    example["storage"] = {**storage, **FIVE[cloud]}
    with pytest.raises(SettingErrors) as refused:
        read({"defaults": body["defaults"], "deployments": {"one": example}}, tmp_path)
    fields = {line.split(": ")[1].removeprefix("one.storage.").partition("[")[0] for line in refused.value.lines}
    assert fields == FIVE[cloud].keys()


def test_keys_of_ones_own_hold_anchors(tmp_path: Path) -> None:
    whole = yaml.safe_dump({"deployments": {"a": {**GOOD, "tags": "HERE"}}}).replace("HERE", "*tags")
    text = "x-tags: &tags {team: data}\nx-other: [1, null]\n" + whole
    assert read(text, tmp_path)["a"].tags == {"team": "data"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["x", "X-tags", "xtags", "-x"])
def test_other_keys_at_the_top_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingErrors, match=f"{key}: is not a setting"):
        read({key: {}, "deployments": {"a": GOOD}}, tmp_path)


def test_a_chart_from_plain_http_is_warned_of(tmp_path: Path) -> None:
    content = {"deployments": {"a": changed(agent__repository="http://charts.acme.example")}}
    (found,) = read(content, tmp_path).values()
    assert any(line.startswith("agent.repository: plain http") for line in found.warnings())
