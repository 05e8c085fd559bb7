"""Workers with an identity of their own: values, addresses that stay, and the commands that know them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.chart_values import IDENTITIES, Source, xcom_values
from astro_xcom.departed import departed
from astro_xcom.errors import SettingErrors
from astro_xcom.probe.manifests import Probe
from astro_xcom.report import Report, check
from astro_xcom.service_accounts import service_accounts
from astro_xcom.synthesis import synthesized
from astro_xcom.take_over import propose
from astro_xcom.vendor_values import without_equal
from astro_xcom.xcom import PodIdentity
from support import AGENT, BASES, GOLDEN, Body, edited, of_type, only, read

WORKERS = {"workers": [{"name": "default-worker"}, {"name": "finance"}]}
MARK = {"aws": "eks.amazonaws.com/role-arn", "gcp": "iam.gke.io/gcp-service-account"}


def synthesize(cloud: str, identity: Body, folder: Path, **agent: Any) -> Body:
    given = {"cloud": cloud, "agent": {**AGENT, "values": WORKERS, **agent}, "identity": identity}
    body: Body = synthesized(read(json.dumps({"deployments": {"a": edited(BASES[cloud], given)}}), folder), file="")[
        "a"
    ]
    return body


def values(**workers: PodIdentity) -> Body:
    return xcom_values(
        namespace="astro",
        resource_name_prefix="prod",
        accounts=service_accounts(WORKERS, prefix="prod", namespace="astro"),
        variables={},
        pod_identity=PodIdentity(annotations={"id": "common"}, holder="common"),
        workers=workers,
        state_store=False,
    )


def test_with_no_identity_of_a_worker_the_values_stay_as_they_were() -> None:
    found = values()
    assert found["annotations"] == {"id": "common"}
    assert "annotations" not in json.dumps([found["serviceAccount"], found["workers"]])


def test_each_service_account_has_the_annotation_of_its_identity() -> None:
    found = values(finance=PodIdentity(annotations={"id": "own"}, holder="own"))
    assert found["annotations"] == {IDENTITIES: "common finance=own"}
    assert {block["annotations"]["id"] for block in found["serviceAccount"].values()} == {"common"}
    assert [worker["serviceAccount"]["annotations"]["id"] for worker in found["workers"]] == ["common", "own"]


def test_pods_are_replaced_for_another_identity_also_without_an_annotation_of_it() -> None:
    told = [values(finance=PodIdentity(holder=holder))["annotations"][IDENTITIES] for holder in ("own", "other")]
    assert told == ["common finance=own", "common finance=other"]


def test_the_default_worker_has_no_entry_of_its_own(tmp_path: Path) -> None:
    body = synthesize("gcp", {"workers": {"default-worker": {"service_account_id": "xcom-own"}}}, tmp_path, values={})
    (document,) = (each for each in body["locals"].values() if "namespace" in each)
    own = {
        key: block["annotations"][MARK["gcp"]].partition("@")[0] for key, block in document["serviceAccount"].items()
    }
    assert own == {"workers": "xcom-own", **dict.fromkeys(("dagProcessor", "triggerer", "sentinel"), "a-xcom")}


@pytest.mark.parametrize("cloud", BASES)
def test_no_address_of_the_others_moves(cloud: str, tmp_path: Path) -> None:
    before = synthesize(cloud, {}, tmp_path)["resource"]
    named = {"finance": {"service_account_id": "xcom-own"} if cloud == "gcp" else {}}
    after = synthesize(cloud, {"workers": named}, tmp_path)["resource"]
    gone = [f"{type_}.{key}" for type_, of in before.items() for key in of if key not in after.get(type_, {})]
    assert all("prod-worker-finance" in each for each in gone), gone


def test_an_association_gets_the_workers_role_in_place_and_waits_for_its_grants(tmp_path: Path) -> None:
    def made(identity: Body) -> dict[str, Body]:
        body = synthesize("aws", {"mechanism": "pod_identity", **identity}, tmp_path)
        found: dict[str, Body] = body["resource"]["aws_eks_pod_identity_association"]
        return found

    before, after = made({}), made({"workers": {"finance": {"policy_arns": ["arn:aws:iam::111122223333:policy/p"]}}})
    assert set(before) == set(after)
    changed = [key for key in before if before[key] != after[key]]
    assert [after[key]["service_account"] for key in changed] == ["prod-worker-finance"]
    (own,) = (after[key] for key in changed)
    assert "identity-finance_role" in own["role_arn"]
    waits_for = " ".join(own["depends_on"])
    assert all(
        part in waits_for for part in ("aws_iam_role_policy.storage_grant-identity-finance", "policy_attachment")
    )
    assert "aws_s3_bucket." not in waits_for  # which could then no longer be replaced


def test_a_role_has_the_place_and_the_bounds_of_the_others(tmp_path: Path) -> None:
    bound = "arn:aws:iam::111122223333:policy/bound"
    own = {"path": "/own/"}
    identity = {"path": "/all/", "permissions_boundary": bound, "workers": {"finance": own}}
    roles = {each["name"]: each for each in of_type(synthesize("aws", identity, tmp_path), "aws_iam_role")}
    assert roles["a-xcom-finance"]["path"] == "/own/"
    assert roles["a-xcom-finance"]["permissions_boundary"] == bound


def test_with_direct_grants_a_worker_has_its_own_roles_in_place_of_the_others(tmp_path: Path) -> None:
    def role(name: str) -> Body:
        return {"role": f"roles/{name}", "scope": "projects/acme-data"}

    body = synthesize(
        "gcp",
        {"mechanism": "direct", "roles": [role("a.all"), role("a.both")],
         "workers": {"finance": {"roles": [role("a.own"), role("a.both")]}}},
        tmp_path,
    )  # fmt: skip
    of_worker = [each for each in of_type(body, "google_project_iam_member") if "worker-finance" in each["member"]]
    assert {each["role"] for each in of_worker} == {"roles/a.own", "roles/a.both"}
    others = [each for each in of_type(body, "google_project_iam_member") if "triggerer" in each["member"]]
    assert {each["role"] for each in others} == {"roles/a.all", "roles/a.both"}
    on_the_bucket = [each["member"] for each in of_type(body, "google_storage_bucket_iam_member")]
    assert len([member for member in on_the_bucket if "worker-finance" in member]) == 2
    # The same address as without a worker of its own: else the equal grant would be deleted after it was created.
    key = next(key for key, each in body["resource"]["google_project_iam_member"].items() if each in of_worker)
    assert key.startswith("identity_permission-acme-data_astro_prod-worker-finance")
    assert IDENTITIES not in json.dumps(body)


def test_the_connection_names_no_identity_where_there_are_several(tmp_path: Path) -> None:
    cases: list[tuple[Body, bool]] = [({}, True), ({"workers": {"finance": {}}}, False)]
    for identity, named in cases:
        (extra,) = (each for each in synthesize("azure", identity, tmp_path)["locals"].values() if "anon" in each)
        assert ("managed_identity_client_id" in extra) == named


@pytest.mark.parametrize("cloud", BASES)
def test_check_and_probe_know_each_identity(cloud: str) -> None:
    from astro_xcom.deployments import read_deployments

    name = f"{cloud}-workers"
    deployment = read_deployments(GOLDEN / cloud / "deployments.yaml")[name]
    body = synthesized({name: deployment}, file="")[name]
    report = check(deployment, body)
    own = report.workers["finance"]
    assert own.identity != report.identity
    assert (own.identity_made, report.workers["ml"].identity_made) == (True, False)
    beside = {str(each.on) for each in own.permissions} - {str(each.on) for each in report.permissions}
    assert len(beside) == (1 if cloud != "aws" else 2), beside  # on AWS a managed policy says not on what
    trusted = {each.subject.rpartition(":")[2]: each.trusted_through for each in report.service_accounts}
    assert len(trusted) == 6
    assert [each["identity of"] for each in trusted["prod-worker-finance"]] == ["finance"]
    assert trusted["prod-worker-ml"] == ()
    assert sum("worker_identities.ml" in line or "training" in line for line in report.for_others) >= 1
    accounts = [each.subject for each in report.service_accounts]
    found = Probe(name=name, values={**WORKERS, "namespace": "astro", **_named(accounts)}, subjects=accounts, run="r")
    assert "prod-worker-finance" in found.accounts


def reported(identity: Body, folder: Path, **agent: Any) -> Report:
    given = {"cloud": "aws", "agent": {**AGENT, "values": WORKERS, **agent}, "identity": identity}
    deployment = read(json.dumps({"deployments": {"a": edited(BASES["aws"], given)}}), folder)["a"]
    return check(deployment, synthesized({"a": deployment}, file="")["a"])


def test_a_service_account_of_two_identities_says_whose_each_trust_is(tmp_path: Path) -> None:
    report = reported({"workers": {"finance": {}}}, tmp_path, former_service_accounts=["astro/prod-worker-finance"])
    trusted = {each.subject.rpartition("-")[2]: each.trusted_through for each in report.service_accounts}
    assert [each["identity of"] for each in trusted["finance"]] == ["all others", "finance"]
    assert ["identity of" in each for each in trusted["triggerer"]] == [False]


def test_the_owner_of_a_role_that_two_workers_share_trusts_both(tmp_path: Path) -> None:
    values = {"workers": [{"name": "ml"}, {"name": "finance"}]}
    shared = {"workers": {"finance": {"existing_role": "data"}, "ml": {"existing_role": "data"}}}
    report = reported(shared, tmp_path, values=values)
    (said,) = (line for line in report.for_others if "trust exactly" in line)
    assert "outputs worker_identities.finance.trusted_subjects and worker_identities.ml.trusted_subjects" in said


def test_another_account_is_a_way_out_only_between_two_deployments(tmp_path: Path) -> None:
    def refused(*others: Body, **identity: Any) -> str:
        given = {"cloud": "aws", "agent": {**AGENT, "values": WORKERS}, "identity": identity, "account_id": None}
        one = edited(BASES["aws"], given)
        more = {f"b{number}": edited(one, other) for number, other in enumerate(others)}
        with pytest.raises(SettingErrors) as caught:
            read(json.dumps({"deployments": {"a": one, **more}}), tmp_path)
        return next(line for line in caught.value.lines if "role_name" in line)

    assert refused(role_name="x", workers={"finance": {"role_name": "X"}}).endswith("try a name of its own")
    assert refused({"storage": {"bucket": "acme-b"}}, role_name="x").endswith(
        "try a name of its own, or account_id in both if they are of two accounts"
    )


def _named(accounts: list[str]) -> Body:
    names = [account.rpartition(":")[2] for account in accounts if "worker" in account]
    return {"workers": [{"name": name, "serviceAccount": {"name": name}} for name in names]}


def test_marks_of_a_worker_are_compared_with_its_own_identity() -> None:
    role = "arn:aws:iam::111122223333:role/"
    ours = {
        "annotations": {IDENTITIES: "x"},
        "serviceAccount": {"triggerer": {"annotations": {MARK["aws"]: f"{role}all"}}},
        "workers": [{"name": "finance", "serviceAccount": {"annotations": {MARK["aws"]: f"{role}own"}}}],
    }

    def users(worker: str, others: str) -> Source:
        block = {"serviceAccount": {"annotations": {MARK["aws"]: f"{role}{worker}"}}}
        given = {"annotations": {MARK["aws"]: f"{role}{others}"}, "workers": [{"name": "finance", **block}]}
        return Source(name="mine", values=given)

    assert MARK["aws"] not in json.dumps(without_equal(users("own", "all"), ours))
    with pytest.raises(SettingErrors, match=r"set identity\.workers\.finance\.existing_role: \S+/all to use it"):
        without_equal(users("all", "all"), ours)


HAND_MADE = """
namespace: astro
resourceNamePrefix: prod
annotations: {MARK: ALL}
workers:
  - {name: default-worker}
  - {name: finance, serviceAccount: {annotations: {MARK: OWN}}}
commonEnv: [{name: AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH, value: "SCHEME://acme/xcom"}]
"""


@pytest.mark.parametrize(
    ("cloud", "scheme", "name", "expected"),
    [
        ("aws", "s3", "arn:aws:iam::111122223333:role/{}", "role_name"),
        ("gcp", "gs", "{}-agents@acme-data.iam.gserviceaccount.com", "service_account_id"),
    ],
)
def test_take_over_proposes_an_identity_for_the_worker_that_has_one(
    cloud: str, scheme: str, name: str, expected: str
) -> None:
    text = HAND_MADE.replace("MARK", MARK[cloud]).replace("SCHEME", scheme)
    found = yaml.safe_load(text.replace("ALL", name.format("all")).replace("OWN", name.format("own")))
    settings = propose(cloud, found, {}, namespace=None, release=None, adopt=[], imports=True).settings
    assert settings["identity"][expected].startswith("all")
    assert settings["identity"]["workers"]["finance"][expected].startswith("own")
    assert any(key.startswith("worker finance ") for key in settings["imports"])
    adopted = propose(cloud, found, {}, namespace=None, release=None, adopt=["identity"], imports=True).settings
    assert list(adopted["identity"]["workers"]["finance"].values()) == [name.format("own")]


def test_a_deployment_that_left_keeps_the_names_of_its_workers_roles(tmp_path: Path) -> None:
    body = synthesize("aws", {"workers": {"finance": {}}}, tmp_path)
    (tmp_path / "terraform.old.tfstate").write_text(
        json.dumps(
            {
                "outputs": {"xcom_path": {}, "worker_identities": {"value": {"finance": {}}}},
                "resources": [
                    {"mode": "managed", "type": "aws_iam_role", "name": key, "instances": [{"attributes": role}]}
                    for key, role in body["resource"]["aws_iam_role"].items()
                ],
            }
        )
    )
    (left,) = departed(tmp_path / "deployments.yaml", {})
    assert left.settings["identity"] == {"role_name": "a-xcom", "workers": {"finance": {"role_name": "a-xcom-finance"}}}


def test_the_policy_of_an_existing_role_is_an_output_of_its_worker(tmp_path: Path) -> None:
    body = synthesize("aws", {"workers": {"finance": {"existing_role": "training"}}}, tmp_path)
    assert only(body, "aws_iam_role")["name"] == "a-xcom"
    assert body["output"]["worker_identities"]["value"]["finance"]["access_policy"].startswith("${data.aws_iam_policy")
