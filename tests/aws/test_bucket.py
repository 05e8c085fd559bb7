import json
import re
from collections.abc import Callable

import pytest
from cdktf import Fn, TerraformStack, TerraformVariable, Testing

from astro_xcom.aws import EksOidcProvider, IrsaRole, XComBucket, XComBucketRef
from astro_xcom.errors import SettingError
from support import Body, of_type, only, resolved, synth

PROVIDER = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def role(stack: TerraformStack) -> IrsaRole:
    return IrsaRole(
        stack,
        "identity",
        name="astro-xcom",
        oidc_providers=[EksOidcProvider(stack, "oidc", arn=PROVIDER)],
        subjects=["system:serviceaccount:astro:worker"],
    )


def statements(body: Body, name: str) -> dict[str, Body]:
    documents = body["data"]["aws_iam_policy_document"]
    (document,) = [document for key, document in documents.items() if name in key]
    return {statement["sid"]: statement for statement in document["statement"]}


def rules(body: Body) -> dict[str, Body]:
    return {rule["id"]: rule for rule in only(body, "aws_s3_bucket_lifecycle_configuration")["rule"]}


def test_a_bucket_is_private_versioned_encrypted_and_kept(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom")
    body = synth(stack)
    assert only(body, "aws_s3_bucket")["lifecycle"] == {"prevent_destroy": True}
    assert only(body, "aws_s3_bucket")["force_destroy"] is False
    block = only(body, "aws_s3_bucket_public_access_block")
    flags = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(block[flag] is True for flag in flags)
    assert block["skip_destroy"] is True
    assert only(body, "aws_s3_bucket_versioning")["versioning_configuration"] == {"status": "Enabled"}
    assert only(body, "aws_s3_bucket_ownership_controls")["rule"] == {"object_ownership": "BucketOwnerEnforced"}
    (rule,) = only(body, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule == {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"},
        "blocked_encryption_types": ["SSE-C"],
    }
    assert not of_type(body, "aws_kms_key")


def test_only_tls_of_a_safe_version_reaches_a_bucket(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom")
    found = statements(synth(stack), "tls-only")
    assert {statement["effect"] for statement in found.values()} == {"Deny"}
    assert found["DenyWithoutTls"]["condition"] == [
        {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
    ]
    assert found["DenyOldTls"]["condition"] == [
        {"test": "NumericLessThan", "variable": "s3:TlsVersion", "values": ["1.2"]}
    ]


def test_settings_of_a_bucket_follow_one_another(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom")
    body = synth(stack)
    follows = {
        "aws_s3_bucket_policy": "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_ownership_controls": "aws_s3_bucket_policy",
        "aws_s3_bucket_lifecycle_configuration": "aws_s3_bucket_versioning",
    }
    for later, earlier in follows.items():
        assert any(name.startswith(f"{earlier}.") for name in only(body, later)["depends_on"]), later
    assert only(body, "aws_s3_bucket_public_access_block")["bucket"].startswith("${aws_s3_bucket.")


@pytest.mark.parametrize(("retention_days", "noncurrent_days"), [(1, 1), (7, 7), (30, 7), (365, 7)])
def test_one_number_sets_the_whole_lifecycle(stack: TerraformStack, retention_days: int, noncurrent_days: int) -> None:
    XComBucket(stack, "storage", name="acme-xcom", path="team/xcom", retention_days=retention_days)
    found = rules(synth(stack))
    assert found["expire-xcoms"]["filter"] == [{"prefix": "team/xcom/"}]
    assert found["expire-xcoms"]["expiration"] == [{"days": retention_days}]
    versions = found["remove-deleted-versions"]
    assert versions["noncurrent_version_expiration"] == [{"noncurrent_days": noncurrent_days}]
    assert versions["expiration"] == [{"expired_object_delete_marker": True}]


def test_unfinished_uploads_are_aborted_everywhere_by_a_rule_of_their_own(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom")
    rule = rules(synth(stack))["abort-multipart-uploads"]
    assert rule["filter"] == [{"prefix": ""}]
    assert set(rule) == {"id", "status", "filter", "abort_incomplete_multipart_upload"}


def test_state_is_granted_and_does_not_expire(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", state_store_path="state")
    storage.grant_read_write(role(stack))
    body = synth(stack)
    assert [rule["filter"] for rule in rules(body).values() if "days" in rule.get("expiration", [{}])[0]] == [
        [{"prefix": "xcom/"}]
    ]
    assert [
        resource.rpartition(":::")[2] for resource in statements(body, "access-identity")["Objects"]["resources"]
    ] == [
        "acme-xcom/xcom/*",
        "acme-xcom/state/*",
    ]
    assert storage.location.state_store_url == "s3://acme-xcom/state"


def test_a_grant_is_the_four_actions_objects_below_the_path_and_a_list_of_any_prefix(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom").grant_read_write(role(stack))
    body = synth(stack)
    found = statements(body, "access-identity")
    assert set(found) == {"Objects", "Bucket"}
    assert found["Objects"]["actions"] == ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    assert [resource.rpartition(":::")[2] for resource in found["Objects"]["resources"]] == ["acme-xcom/xcom/*"]
    assert found["Bucket"]["actions"] == ["s3:ListBucket"]
    assert only(body, "aws_iam_role_policy")["role"].startswith("${aws_iam_role.")


def conditions(body: Body) -> dict[str, dict[str, list[str]]]:
    """Statement -> "operator key" -> values."""
    return {
        sid: {f"{each['test']} {each['variable']}": each["values"] for each in statement.get("condition", [])}
        for sid, statement in statements(body, "access-identity").items()
    }


def test_a_grant_is_of_a_bucket_of_this_account_and_of_keys_that_s3_uses(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", sse_kms=True, former_kms_key_arns=[EAST])
    storage.folder("team").grant_read_write(role(stack))
    found = conditions(synth(stack))
    (account,) = found["Objects"]["StringEquals aws:ResourceAccount"]
    assert re.fullmatch(r"\$\{data.aws_caller_identity.storage_caller_\w+.account_id\}", account)
    assert found == {
        **{sid: {"StringEquals aws:ResourceAccount": [account]} for sid in ("Objects", "Bucket")},
        **{sid: {"StringLike kms:ViaService": ["s3.*"]} for sid in ("Key", "FormerKeys")},
    }


@pytest.mark.parametrize("account", [None, "444455556666"])
def test_the_account_of_an_existing_bucket_is_compared_if_it_is_given(
    account: str | None, stack: TerraformStack
) -> None:
    XComBucket.from_name(stack, "storage", "acme-xcom", account_id=account).grant_read_write(role(stack))
    own = {"StringEquals aws:ResourceAccount": [account]} if account else {}
    assert conditions(synth(stack)) == {"Objects": own, "Bucket": own}


def by_name(stack: TerraformStack, id_: str, name: str, account_id: str | None = None) -> XComBucketRef:
    return XComBucket.from_name(stack, id_, name, account_id=account_id)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account_id": "4444"}, "must be the 12 digits of an AWS account id"),
        ({"name": "*"}, "must be a bucket's name"),
        ({"name": "acme-*"}, "must be a bucket's name"),
    ],
)
@pytest.mark.parametrize("make", [XComBucketRef, by_name])
def test_no_bucket_of_any_name_or_account(
    changes: dict[str, str], message: str, make: Callable[..., XComBucketRef], stack: TerraformStack
) -> None:
    with pytest.raises(SettingError, match=message):
        make(stack, "storage", **{"name": "acme-xcom", **changes})
    make(stack, "storage", name=Fn.join("-", ["acme", "xcom"]), account_id=Fn.join("", ["4", "5"]))


def test_a_bucket_without_a_path_is_granted_whole(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", path="")
    storage.grant_read_write(role(stack))
    (resource,) = statements(synth(stack), "access-identity")["Objects"]["resources"]
    assert resource.endswith(":::acme-xcom/*")
    assert storage.location.url == "s3://acme-xcom"


def test_sse_kms_makes_a_rotated_kept_key_with_an_alias_and_grants_it(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", sse_kms=True)
    storage.grant_read_write(role(stack))
    body = synth(stack)
    key = only(body, "aws_kms_key")
    assert key["enable_key_rotation"] is True
    assert key["lifecycle"] == {"prevent_destroy": True}
    assert only(body, "aws_kms_alias")["name"] == "alias/acme-xcom"
    (rule,) = only(body, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["bucket_key_enabled"] is True
    assert rule["apply_server_side_encryption_by_default"]["sse_algorithm"] == "aws:kms"
    grant = statements(body, "access-identity")["Key"]
    assert grant["actions"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert grant["resources"] == [rule["apply_server_side_encryption_by_default"]["kms_master_key_id"]]
    (administration,) = json.loads(key["policy"])["Statement"]
    assert (administration["Effect"], administration["Action"], administration["Resource"]) == ("Allow", "kms:*", "*")
    assert administration["Principal"]["AWS"].endswith(":root")


def test_an_existing_key_is_used_and_granted(stack: TerraformStack) -> None:
    arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
    XComBucket(stack, "storage", name="acme-xcom", sse_kms=True, kms_key_arn=arn).grant_read_write(role(stack))
    body = synth(stack)
    assert not of_type(body, "aws_kms_key")
    assert statements(body, "access-identity")["Key"]["resources"] == [arn]


def test_access_logs_and_notifications_are_off_until_asked_for(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom")
    assert (storage.logging, storage.notification) == (None, None)
    assert not {"aws_s3_bucket_logging", "aws_s3_bucket_notification"} & set(synth(stack)["resource"])


def test_access_logs_go_to_the_given_bucket_below_this_ones_name(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", access_log_bucket="acme.logs")
    logging = only(synth(stack), "aws_s3_bucket_logging")
    assert (logging["target_bucket"], logging["target_prefix"]) == ("acme.logs", "acme-xcom/")
    assert logging["bucket"].startswith("${aws_s3_bucket.")
    assert storage.logging in storage.dependencies


def test_eventbridge_hears_of_objects_when_asked_to(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", eventbridge_notifications=True)
    assert only(synth(stack), "aws_s3_bucket_notification")["eventbridge"] is True
    assert storage.notification in storage.dependencies


@pytest.mark.parametrize(("bucket", "message"), [("acme-xcom", "must be another bucket"), ("Acme", "a bucket's name")])
def test_a_bucket_that_cannot_take_access_logs_is_refused(stack: TerraformStack, bucket: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        XComBucket(stack, "storage", name="acme-xcom", access_log_bucket=bucket)
    XComBucket(stack, "storage", name="acme-xcom")  # the id is still free


def test_an_existing_bucket_makes_no_bucket_and_grants(stack: TerraformStack) -> None:
    XComBucket.from_name(stack, "storage", "some.bucket", connection_id="aws_default").grant_read_write(role(stack))
    body = synth(stack)
    assert set(body["resource"]) == {"aws_iam_role", "aws_iam_role_policy"}


def test_protection_can_be_switched_off_and_then_the_bucket_emptied(stack: TerraformStack) -> None:
    XComBucket(stack, "storage", name="acme-xcom", protect_from_destroy=False, force_destroy=True)
    bucket = only(synth(stack), "aws_s3_bucket")
    assert bucket["force_destroy"] is True
    assert "lifecycle" not in bucket


def test_a_protected_bucket_is_never_emptied(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="protect_from_destroy=False"):
        XComBucket(stack, "storage", name="acme-xcom", force_destroy=True)


def test_a_name_filled_in_later_passes_the_checks(stack: TerraformStack) -> None:
    name = TerraformVariable(stack, "name", type="string").string_value
    storage = XComBucket(stack, "storage", name=name)
    assert only(synth(stack), "aws_s3_bucket")["bucket"] == "${var.name}"
    assert resolved(stack, storage.location.url) == "s3://${var.name}/xcom"


def test_a_refused_bucket_leaves_its_id_free(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match='try "acme-xcom"'):
        XComBucket(stack, "storage", name="Acme_XCom")
    XComBucket(stack, "storage", name="acme-xcom")


@pytest.mark.parametrize(("path", "state"), [("xcom", "xcom"), ("xcom", "xcom/state"), ("a/b", "a"), ("", "state")])
def test_state_may_not_expire_with_the_xcoms(stack: TerraformStack, path: str, state: str) -> None:
    with pytest.raises(SettingError, match="state must not"):
        XComBucket(stack, "storage", name="acme-xcom", path=path, state_store_path=state)
    with pytest.raises(SettingError, match="state must not"):
        XComBucket.from_name(stack, "storage", "acme-xcom", path=path, state_store_path=state)


def test_a_retention_that_loses_everything_is_refused(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="1-36500 days"):
        XComBucket(stack, "storage", name="acme-xcom", retention_days=0)


def test_two_paths_of_a_bucket_are_granted_to_one_role_side_by_side(stack: TerraformStack) -> None:
    identity = role(stack)
    for team in ("one", "two"):
        XComBucket.from_name(stack, team, "acme-xcom", path=team).grant_read_write(identity)
    names = [policy["name"] for policy in of_type(synth(stack), "aws_iam_role_policy")]
    assert sorted(names) == ["one-acme-xcom", "two-acme-xcom"]


def named_role(stack: TerraformStack, id_: str) -> IrsaRole:
    provider = EksOidcProvider(stack, f"{id_}-oidc", arn=PROVIDER)
    return IrsaRole(stack, id_, name=id_, oidc_providers=[provider], subjects=["system:serviceaccount:astro:worker"])


def test_a_role_granted_a_folder_reaches_no_other_and_what_is_there_expires(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom", state_store_path="state", sse_kms=True)
    folders = {name: storage.folder(name) for name in ("ingest", "reports")}
    for name, folder in folders.items():
        folder.grant_read_write(named_role(stack, f"{name}-role"))
    body = synth(stack)
    for name, folder in folders.items():
        found = statements(body, f"access-{name}-role")
        assert [resource.partition(":s3:::")[2] for resource in found["Objects"]["resources"]] == [
            f"acme-xcom/xcom/{name}/*",
            f"acme-xcom/state/{name}/*",
        ]
        assert set(found) == {"Objects", "Bucket", "Key"}
        assert folder.location.url == f"s3://acme-xcom/xcom/{name}"
        assert folder.location.state_store_url == f"s3://acme-xcom/state/{name}"
        assert storage.resource in folder.dependencies
    assert rules(body)["expire-xcoms"]["filter"] == [{"prefix": "xcom/"}]
    assert len(of_type(body, "aws_s3_bucket")) == 1
    assert {policy["name"] for policy in of_type(body, "aws_iam_role_policy")} == {
        "folder-ingest-acme-xcom",
        "folder-reports-acme-xcom",
    }


def test_one_role_can_be_granted_several_folders(stack: TerraformStack) -> None:
    storage = XComBucket.from_name(stack, "storage", "acme-xcom", path="", connection_id="aws_default")
    shared = role(stack)
    for name in ("ingest", "reports"):
        storage.folder(name).grant_read_write(shared)
    assert len(of_type(synth(stack), "aws_iam_role_policy")) == 2
    assert storage.folder("other").location.url == "s3://aws_default@acme-xcom/other"
    assert storage.folder("more").location.state_store_url is None


@pytest.mark.parametrize("name", ["", "a/b", "Ingest", "..", "x" * 49])
def test_a_folder_has_a_simple_name(stack: TerraformStack, name: str) -> None:
    with pytest.raises(SettingError, match="1-48 lower-case letters"):
        XComBucket(stack, "storage", name="acme-xcom").folder(name)


def test_granting_twice_is_granting_once(stack: TerraformStack) -> None:
    storage, granted = XComBucket(stack, "storage", name="acme-xcom"), role(stack)
    assert storage.grant_read_write(granted) is storage.grant_read_write(granted)
    assert len(of_type(synth(stack), "aws_iam_role_policy")) == 1


def test_two_granted_roles_need_two_ids(stack: TerraformStack) -> None:
    storage = XComBucket(stack, "storage", name="acme-xcom")
    team = TerraformStack(stack, "team")
    storage.grant_read_write(named_role(stack, "agents"))
    with pytest.raises(SettingError, match='each role granted here needs an id of its own; got "agents"'):
        storage.grant_read_write(named_role(team, "agents"))


EAST, WEST = (f"arn:aws:kms:{region}:111122223333:key/1" for region in ("us-east-1", "us-west-2"))


@pytest.mark.parametrize(("key", "former"), [(EAST, [WEST]), (None, [EAST, WEST])])
def test_all_keys_of_a_bucket_are_of_its_region(stack: TerraformStack, key: str | None, former: list[str]) -> None:
    with pytest.raises(SettingError, match="must be a key in us-east-1: S3 uses no other"):
        XComBucket(stack, "storage", name="acme-xcom", sse_kms=True, kms_key_arn=key, former_kms_key_arns=former)
    with pytest.raises(SettingError, match="must be a key in us-east-1"):
        XComBucket.from_name(stack, "storage", "acme-xcom", kms_key_arn=key, former_kms_key_arns=former)
    with pytest.raises(SettingError, match="must be the ARN of a KMS key"):
        XComBucket(stack, "storage", name="acme-xcom", sse_kms=True, kms_key_arn="alias/xcom")


def test_two_policies_of_one_role_have_two_names(stack: TerraformStack) -> None:
    agents = role(stack)
    for id_, name in (("storage", "acme-xcom"), ("storage-acme", "xcom"), ("storage-acme-xcom", "abc")):
        XComBucket.from_name(stack, id_, name).grant_read_write(agents)
    names = {policy["name"] for policy in of_type(synth(stack), "aws_iam_role_policy")}
    assert len(names) == 3
    assert names > {"storage-acme-xcom", "storage-acme-xcom-abc"}
