"""What was there before an edit stays usable: former keys, paths and service accounts, on every cloud."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.errors import SettingErrors
from support import Body, of_type, only, read, synth_file

BASES = yaml.safe_load((Path(__file__).parent / "transitions" / "edits.yaml").read_text())["bases"]
CLOUDS = ("aws", "azure", "gcp")
KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-00000000000"
CRYPTO_KEY = "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom"


def text(cloud: str, **sections: Any) -> str:
    base = dict(BASES[cloud])
    for section, of in sections.items():
        base[section] = {**base.get(section, {}), **of}
    return yaml.safe_dump({"deployments": {"edited": base}})


def made(folder: Path, cloud: str, **sections: Any) -> Body:
    (folder / "deployments.yaml").write_text(text(cloud, **sections))
    stack = synth_file(folder / "deployments.yaml", folder / "out")["edited"]
    body: Body = json.loads((stack / "cdk.tf.json").read_text())
    return body


def refused(folder: Path, cloud: str, **sections: Any) -> str:
    with pytest.raises(SettingErrors) as problems:
        read(text(cloud, **sections), folder)
    return str(problems.value)


def statements(body: Body) -> dict[str, Body]:
    (document,) = (each for each in of_type(body, "aws_iam_policy_document", kind="data") if "Objects" in str(each))
    return {statement["sid"]: statement for statement in document["statement"]}


@pytest.mark.parametrize("storage", [{}, {"encryption": "SSE-KMS"}, {"existing": True}])
def test_agents_may_only_decrypt_with_a_former_key_of_aws(storage: Body, tmp_path: Path) -> None:
    body = made(tmp_path, "aws", storage={**storage, "former_kms_key_arns": [f"{KEY}1", f"{KEY}2"]})
    assert statements(body)["FormerKeys"] == {
        "sid": "FormerKeys",
        "effect": "Allow",
        "actions": ["kms:Decrypt"],
        "resources": [f"{KEY}1", f"{KEY}2"],
        "condition": [{"test": "StringLike", "variable": "kms:ViaService", "values": ["s3.*"]}],
    }


@pytest.mark.parametrize("grant", [True, False])
def test_cloud_storage_may_only_decrypt_with_a_former_key(grant: bool, tmp_path: Path) -> None:
    key = {"encryption": "customer-managed", "kms_key_name": f"{CRYPTO_KEY}-2", "grant_kms_key": grant}
    body = made(tmp_path, "gcp", storage={**key, "former_kms_key_names": [CRYPTO_KEY]})
    grants = {each["crypto_key_id"]: each["role"] for each in of_type(body, "google_kms_crypto_key_iam_member")}
    assert grants == {
        CRYPTO_KEY: "roles/cloudkms.cryptoKeyDecrypter",
        **({f"{CRYPTO_KEY}-2": "roles/cloudkms.cryptoKeyEncrypterDecrypter"} if grant else {}),
    }
    assert len(only(body, "google_storage_bucket")["depends_on"]) == len(grants)


def test_s3_asks_for_a_key_after_the_role_may_use_it(tmp_path: Path) -> None:
    body = made(tmp_path, "aws", storage={"encryption": "SSE-KMS"})
    (grant,) = body["resource"]["aws_iam_role_policy"]
    encryption = only(body, "aws_s3_bucket_server_side_encryption_configuration")
    assert encryption["depends_on"] == [f"aws_iam_role_policy.{grant}"]


def test_what_is_below_a_former_path_of_s3_expires_too(tmp_path: Path) -> None:
    body = made(tmp_path, "aws", storage={"path": "new", "former_paths": ["xcom", "older/xcom"]})
    rules = {rule["id"]: rule for rule in only(body, "aws_s3_bucket_lifecycle_configuration")["rule"]}
    for id_, prefix in {"expire-xcoms": "new/", "expire-xcoms-of-xcom": "xcom/"}.items():
        assert rules[id_]["filter"] == [{"prefix": prefix}]
        assert rules[id_]["expiration"] == [{"days": 30}]
    assert rules["expire-xcoms-of-older/xcom"]["filter"] == [{"prefix": "older/xcom/"}]


def test_what_is_below_a_former_path_of_a_container_expires_too(tmp_path: Path) -> None:
    body = made(tmp_path, "azure", storage={"path": "new", "former_paths": ["xcom"]})
    expire, _ = only(body, "azurerm_storage_management_policy")["rule"]
    assert expire["filters"]["prefix_match"] == ["xcom/new/", "xcom/xcom/"]


@pytest.mark.parametrize(
    ("former", "prefixes"), [(["xcom"], ["new/", "xcom/"]), ([""], None)], ids=["a folder", "the whole bucket"]
)
def test_what_is_below_a_former_path_of_cloud_storage_expires_too(
    former: list[str], prefixes: list[str] | None, tmp_path: Path
) -> None:
    body = made(tmp_path, "gcp", storage={"path": "new", "former_paths": former})
    rule = only(body, "google_storage_bucket")["lifecycle_rule"][0]
    assert rule["condition"].get("matches_prefix") == prefixes


def test_former_service_accounts_stay_trusted_and_the_chart_does_not_make_them(tmp_path: Path) -> None:
    former = {"former_service_accounts": ["astro/prod-worker-small", "other/prod-worker-heavy"]}
    found = []
    for cloud in CLOUDS:
        folder = tmp_path / cloud
        folder.mkdir()
        body = made(folder, cloud, agent=former)
        assert body["output"]["trusted_subjects"]["value"][-2:] == [
            "system:serviceaccount:astro:prod-worker-small",
            "system:serviceaccount:other:prod-worker-heavy",
        ]
        assert "prod-worker-small" not in json.dumps(body["locals"])
        found.append(body)
    aws, azure, gcp = found
    (trust,) = (each for each in of_type(aws, "aws_iam_policy_document", kind="data") if "sts:Assume" in str(each))
    assert "system:serviceaccount:other:prod-worker-heavy" in json.dumps(trust)
    assert len(of_type(azure, "azurerm_federated_identity_credential")) == 5 + 2
    members = [each["member"] for each in of_type(gcp, "google_service_account_iam_member")]
    assert "serviceAccount:acme-data.svc.id.goog[other/prod-worker-heavy]" in members
    assert len(members) == 5 + 2


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("sections", "says"),
    [
        (
            {"agent": {"former_service_accounts": ["prod-worker-small"]}},
            "agent.former_service_accounts[0]: must be a namespace and a service account, as namespace/name; got "
            '"prod-worker-small"',
        ),
        ({"storage": {"former_paths": ["xcom"]}}, "storage.former_paths: is the path of today: remove it"),
        (
            {"storage": {"former_paths": ["old"]}, "state_store": {"path": "old/state"}},
            'storage.former_paths: must not contain state_store.path ("old/state") or be inside it',
        ),
        ({"storage": {"former_paths": ["/old"]}}, "storage.former_paths[0]: must be folders joined by"),
    ],
)
def test_what_cannot_have_been_is_refused(cloud: str, sections: Body, says: str, tmp_path: Path) -> None:
    assert says in refused(tmp_path, cloud, **sections)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_owner_of_existing_storage_says_what_expires_below_former_paths(cloud: str, tmp_path: Path) -> None:
    existing: Body = {"existing": "container" if cloud == "azure" else True, "former_paths": ["old"]}
    sections: Body = {"storage": existing}
    if cloud == "azure":
        sections["resource_group"] = {"existing": True}
    if cloud == "gcp":
        existing["location"] = None
    assert "storage.former_paths: is not used for existing storage" in refused(tmp_path, cloud, **sections)


def test_the_key_of_today_is_no_former_key(tmp_path: Path) -> None:
    key = {"encryption": "SSE-KMS", "kms_key_arn": f"{KEY}1", "former_kms_key_arns": [f"{KEY}1"]}
    assert "storage.former_kms_key_arns: is the current key" in refused(tmp_path, "aws", storage=key)
    key = {"encryption": "customer-managed", "kms_key_name": CRYPTO_KEY, "former_kms_key_names": [CRYPTO_KEY]}
    assert "storage.former_kms_key_names: is the current key" in refused(tmp_path, "gcp", storage=key)


def test_no_state_lies_where_a_former_path_expires(tmp_path: Path) -> None:
    base = {**BASES["aws"], "storage": {"bucket": "acme-astro-xcom", "path": "new", "former_paths": ["old"]}}
    state = {"s3": {"bucket": "acme-astro-xcom", "region": "us-east-1", "key": "old/terraform.tfstate"}}
    with pytest.raises(SettingErrors, match="XComs expire"):
        read(yaml.safe_dump({"deployments": {"edited": {**base, "state": state}}}), tmp_path)


def test_the_state_store_of_a_neighbour_does_not_expire_with_a_former_path(tmp_path: Path) -> None:
    one = {**BASES["aws"], "storage": {"bucket": "acme-astro-xcom", "path": "new", "former_paths": ["old"]}}
    two = {
        **BASES["aws"],
        "agent": {**BASES["aws"]["agent"], "namespace": "two", "resource_name_prefix": "two", "release_name": "two"},
        "storage": {"bucket": "acme-astro-xcom", "existing": True, "path": "two"},
        "state_store": {"path": "old/state"},
    }
    with pytest.raises(SettingErrors, match="state must not"):
        read(yaml.safe_dump({"deployments": {"one": one, "two": two}}), tmp_path)
