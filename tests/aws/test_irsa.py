import json

import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.aws import EksOidcProvider, IrsaRole, PolicyStatement
from astro_xcom.errors import SettingError
from astro_xcom.rules import aws as rules
from astro_xcom.rules import places
from support import of_type, only, resolved, synth

HOST = "oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{HOST}"
SUBJECTS = ["system:serviceaccount:astro:worker", "system:serviceaccount:astro:triggerer"]


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def irsa(stack: TerraformStack, **changes: object) -> IrsaRole:
    if "oidc_providers" not in changes:
        changes["oidc_providers"] = [EksOidcProvider(stack, "oidc", arn=PROVIDER)]
    return IrsaRole(stack, "identity", **{"name": "astro-xcom", "subjects": SUBJECTS, **changes})  # type: ignore[arg-type]


def test_trust_is_exact_subjects_and_the_audience(stack: TerraformStack) -> None:
    irsa(stack)
    (statement,) = only(synth(stack), "aws_iam_policy_document", kind="data")["statement"]
    assert statement["actions"] == ["sts:AssumeRoleWithWebIdentity"]
    assert statement["principals"] == [{"type": "Federated", "identifiers": [PROVIDER]}]
    assert statement["condition"] == [
        {"test": "StringEquals", "variable": f"{HOST}:aud", "values": ["sts.amazonaws.com"]},
        {"test": "StringEquals", "variable": f"{HOST}:sub", "values": SUBJECTS},
    ]


def test_every_cluster_has_its_own_statement(stack: TerraformStack) -> None:
    providers = [
        EksOidcProvider(stack, "one", arn=PROVIDER),
        EksOidcProvider(stack, "two", cluster_name="standby", region="eu-west-1"),
    ]
    irsa(stack, oidc_providers=providers)
    body = synth(stack)
    first, second = only(body, "aws_iam_policy_document", kind="data")["statement"]
    assert first["principals"][0]["identifiers"] == [PROVIDER]
    assert second["principals"][0]["identifiers"][0].startswith("${data.aws_iam_openid_connect_provider.")
    assert all("trimprefix(data.aws_eks_cluster." in entry["variable"] for entry in second["condition"])
    assert only(body, "aws_eks_cluster", kind="data")["region"] == "eu-west-1"


def test_a_provider_arn_filled_in_later_is_split_by_terraform(stack: TerraformStack) -> None:
    arn = TerraformVariable(stack, "provider", type="string").string_value
    irsa(stack, oidc_providers=[EksOidcProvider(stack, "oidc", arn=arn)])
    (statement,) = only(synth(stack), "aws_iam_policy_document", kind="data")["statement"]
    assert statement["condition"][0]["variable"] == '${element(split(":oidc-provider/", var.provider), 1)}:aud'


def test_the_role_annotates_the_service_accounts(stack: TerraformStack) -> None:
    ((key, arn),) = irsa(stack, path="/astro/").pod_identity.annotations.items()
    assert key == "eks.amazonaws.com/role-arn"
    assert resolved(stack, arn).endswith("}:role/astro/astro-xcom")


def test_boundary_path_and_session_reach_the_role(stack: TerraformStack) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    irsa(stack, path="/astro/", permissions_boundary=boundary, max_session_duration=7200)
    role = only(synth(stack), "aws_iam_role")
    assert (role["path"], role["permissions_boundary"], role["max_session_duration"]) == ("/astro/", boundary, 7200)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "x" * 65}, "1-64"),
        ({"name": "astro xcom"}, 'try "astro-xcom"'),
        ({"path": "astro"}, 'try "/astro/"'),
        ({"permissions_boundary": "boundary"}, "ARN of an IAM policy"),
        ({"subjects": []}, "at least one"),
        ({"oidc_providers": []}, "at least one"),
        ({"subjects": ["system:serviceaccount:astro:*"]}, "star literally"),
        ({"subjects": [f"system:serviceaccount:astro:worker-{number:03}" for number in range(220)]}, "IAM allows 8192"),
    ],
)
def test_what_iam_would_refuse_is_refused(stack: TerraformStack, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        irsa(stack, **changes)


@pytest.mark.parametrize("given", [{}, {"cluster_name": "data", "arn": PROVIDER}])
def test_a_provider_is_given_one_way(stack: TerraformStack, given: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="either"):
        EksOidcProvider(stack, "oidc", **given)


def test_an_existing_role_is_used_by_its_arn(stack: TerraformStack) -> None:
    role = IrsaRole.from_arn(stack, "identity", "arn:aws:iam::111122223333:role/team/agents")
    assert (role.name, role.arn, role.managed) == ("agents", "arn:aws:iam::111122223333:role/team/agents", False)
    assert "resource" not in synth(stack)


def test_an_existing_role_by_name_is_one_of_this_account(stack: TerraformStack) -> None:
    role = IrsaRole.from_name(stack, "identity", "agents", path="/team/")
    assert resolved(stack, role.arn).endswith("}:role/team/agents")
    assert "resource" not in synth(stack)


OTHERS = "arn:aws:iam::444455556666:oidc-provider/oidc.example.com"
CHINAS = "arn:aws-cn:iam::111122223333:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/A"


@pytest.mark.parametrize(
    ("arns", "boundary", "says"),
    [
        ([PROVIDER, OTHERS], None, r"must be of the role's account, 111122223333; got .*444455556666"),
        ([PROVIDER, CHINAS], None, "must be in the partition aws: nothing there can use a thing of aws-cn"),
        ([PROVIDER], "arn:aws:iam::444455556666:policy/bound", "must be of the role's account"),
        ([PROVIDER], "arn:aws:iam::aws:policy/PowerUserAccess", None),
    ],
)
def test_a_role_is_of_one_account(
    stack: TerraformStack, arns: list[str], boundary: str | None, says: str | None
) -> None:
    providers = [EksOidcProvider(stack, f"oidc-{number}", arn=arn) for number, arn in enumerate(arns)]
    if says is None:
        assert irsa(stack, oidc_providers=providers, permissions_boundary=boundary).managed
        return
    with pytest.raises(SettingError, match=says):
        irsa(stack, oidc_providers=providers, permissions_boundary=boundary)


def test_an_account_filled_in_later_passes(stack: TerraformStack) -> None:
    boundary = TerraformVariable(stack, "boundary", type="string").string_value
    assert irsa(stack, permissions_boundary=boundary).managed


@pytest.mark.parametrize("subjects", [SUBJECTS[:1], SUBJECTS])
def test_the_size_of_a_trust_policy_is_that_of_the_document(stack: TerraformStack, subjects: list[str]) -> None:
    other = f"{PROVIDER[:-1]}0"
    providers = [EksOidcProvider(stack, "one", arn=PROVIDER), EksOidcProvider(stack, "two", arn=other)]
    irsa(stack, oidc_providers=providers, subjects=subjects)
    document = only(synth(stack), "aws_iam_policy_document", kind="data")

    def plain(values: list[str]) -> list[str] | str:  # as the provider writes a list of one
        return values[0] if len(values) == 1 else values

    rendered = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": each["effect"],
                "Action": plain(each["actions"]),
                "Principal": {who["type"]: plain(who["identifiers"]) for who in each["principals"]},
                "Condition": {
                    "StringEquals": {test["variable"]: plain(test["values"]) for test in each["condition"]},
                },
            }
            for each in document["statement"]
        ],
    }
    size = len(json.dumps(rendered, separators=(",", ":")))
    assert rules.trust_policy_size([PROVIDER, other], subjects) == size


def test_a_cluster_that_is_looked_up_counts_as_much_as_a_written_one() -> None:
    real = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-southeast-2.amazonaws.com/id/" + "A" * 32
    assert len(places.oidc_provider_arn("ap-southeast-2")) == len(real)
    china = "arn:aws-cn:iam::111122223333:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/" + "A" * 32
    assert len(places.oidc_provider_arn("cn-north-1")) == len(china)


# ---- permissions beside XComs

POLICY = "arn:aws:iam::111122223333:policy/warehouse"


def test_what_it_may_do_beside_xcoms_is_attached_and_an_inline_policy_of_its_own(stack: TerraformStack) -> None:
    secret = TerraformVariable(stack, "secret", type="string").string_value
    statement = PolicyStatement(
        sid="Secrets",
        actions=["secretsmanager:GetSecretValue"],
        resources=[secret],
        conditions={"StringEquals": {"aws:ResourceTag/team": ["data"]}},
    )
    role = irsa(stack, policy_arns=[POLICY], policy_statements=[statement])
    body = synth(stack)
    attachment, inline = only(body, "aws_iam_role_policy_attachment"), only(body, "aws_iam_role_policy")
    assert attachment["policy_arn"] == POLICY
    assert inline["name"] == "beside-xcoms"
    assert attachment["role"] == inline["role"] == f"${{aws_iam_role.{role.resource.friendly_unique_id}.name}}"
    (document,) = [
        each for each in of_type(body, "aws_iam_policy_document", kind="data") if "sid" in each["statement"][0]
    ]
    assert document["statement"] == [
        {
            "sid": "Secrets",
            "effect": "Allow",
            "actions": ["secretsmanager:GetSecretValue"],
            "resources": ["${var.secret}"],
            "condition": [{"test": "StringEquals", "variable": "aws:ResourceTag/team", "values": ["data"]}],
        }
    ]
    assert len(role.permissions) == 2
    assert set(role.permissions) <= set(role.dependencies)


def test_a_policy_keeps_its_address_when_another_comes_before_it(stack: TerraformStack) -> None:
    irsa(stack, policy_arns=[POLICY])
    other = TerraformStack(Testing.app(), "other")
    irsa(other, policy_arns=["arn:aws:iam::aws:policy/a", POLICY])
    (address,) = synth(stack)["resource"]["aws_iam_role_policy_attachment"]
    assert address in synth(other)["resource"]["aws_iam_role_policy_attachment"]


def test_without_permissions_nothing_more_is_made(stack: TerraformStack) -> None:
    irsa(stack)
    assert set(synth(stack)["resource"]) == {"aws_iam_role"}


def statement(**changes: object) -> PolicyStatement:
    return PolicyStatement(**{"actions": ["s3:GetObject"], "resources": ["*"], **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": ["*:*"]}, "must name a service"),
        ({"actions": []}, "at least one action"),
        ({"actions": ["s3:*"]}, "every action of a service"),
        ({"resources": ["bucket"]}, "must be an ARN"),
        ({"sid": "my secrets"}, 'try "mysecrets"'),
        ({"conditions": {"Equals": {}}}, "condition operator"),
        ({"conditions": {"Bool": {"tls": ["true"]}}}, "condition key"),
    ],
)
def test_a_statement_that_opens_too_much_or_nothing_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        statement(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy_arns": [POLICY, POLICY]}, "each policy once"),
        ({"policy_arns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}, "administrators"),
        ({"policy_arns": ["${aws_iam_policy.mine.arn}"]}, "try an IamRolePolicyAttachment of your own"),
        ({"policy_arns": [f"{POLICY}{n}" for n in range(26)]}, "at most 25"),
        ({"policy_statements": [statement(sid="A"), statement(sid="A")]}, "each sid"),
        ({"policy_statements": [statement(resources=[f"arn:aws:s3:::b/{'x' * 200}{n}" for n in range(60)])]}, "10240"),
    ],
)
def test_permissions_that_iam_would_refuse_are_refused(
    stack: TerraformStack, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        irsa(stack, **changes)
