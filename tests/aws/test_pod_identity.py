import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.aws import EksOidcProvider, EksPodIdentityCluster, IrsaRole, PodIdentityAssociations
from astro_xcom.errors import SettingError
from support import of_type, only, resolved, synth

PROVIDER = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF"
SUBJECTS = ["system:serviceaccount:astro:worker", "system:serviceaccount:astro:triggerer"]


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def cluster(stack: TerraformStack, name: str = "data-prod", region: str | None = "us-east-1") -> EksPodIdentityCluster:
    return EksPodIdentityCluster(stack, f"eks-{name}", name=name, region=region)


def role(stack: TerraformStack, **changes: object) -> IrsaRole:
    if "pod_identity_clusters" not in changes:
        changes["pod_identity_clusters"] = [cluster(stack)]
    return IrsaRole(stack, "identity", **{"name": "astro-xcom", "subjects": SUBJECTS, **changes})  # type: ignore[arg-type]


def test_the_trust_names_clusters_namespace_and_accounts_and_no_provider(stack: TerraformStack) -> None:
    clusters = [cluster(stack), cluster(stack, "standby", "eu-west-1")]
    role(stack, pod_identity_clusters=clusters)
    body = synth(stack)
    (statement,) = only(body, "aws_iam_policy_document", kind="data")["statement"]
    assert statement["actions"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["principals"] == [{"type": "Service", "identifiers": ["pods.eks.amazonaws.com"]}]
    conditions = {each["variable"]: each["values"] for each in statement["condition"]}
    assert {each["test"] for each in statement["condition"]} == {"StringEquals"}
    assert conditions == {
        "aws:RequestTag/eks-cluster-arn": resolved(stack, [one.arn for one in clusters]),
        "aws:RequestTag/kubernetes-namespace": ["astro"],
        "aws:RequestTag/kubernetes-service-account": ["worker", "triggerer"],
    }
    assert conditions["aws:RequestTag/eks-cluster-arn"][1].endswith("}:cluster/standby")
    assert "aws_eks_cluster" not in body["data"]


def test_a_name_is_trusted_in_its_own_namespace_alone(stack: TerraformStack) -> None:
    role(stack, subjects=[*SUBJECTS, "system:serviceaccount:batch:old"])
    trusted = []
    for statement in only(synth(stack), "aws_iam_policy_document", kind="data")["statement"]:
        _, namespaces, accounts = (each["values"] for each in statement["condition"])
        trusted += [(namespace, account) for namespace in namespaces for account in accounts]
    assert trusted == [("astro", "worker"), ("astro", "triggerer"), ("batch", "old")]


def test_the_region_is_the_providers_unless_it_is_given(stack: TerraformStack) -> None:
    assert ":eks:${data.aws_region." in resolved(stack, cluster(stack, region=None).arn)
    assert "aws_region" in synth(stack)["data"]


@pytest.mark.parametrize(
    ("providers", "clusters", "annotate", "marks"),
    [(1, 0, None, 1), (0, 1, None, 0), (1, 1, None, 1), (1, 1, False, 0)],
)
def test_pods_are_annotated_where_they_are_to_use_irsa(
    stack: TerraformStack, providers: int, clusters: int, annotate: bool | None, marks: int
) -> None:
    made = role(
        stack,
        oidc_providers=[EksOidcProvider(stack, "oidc", arn=PROVIDER)][:providers],
        pod_identity_clusters=[cluster(stack)][:clusters],
        annotate=annotate,
    )
    assert len(made.pod_identity.annotations) == marks
    assert len(only(synth(stack), "aws_iam_policy_document", kind="data")["statement"]) == providers + clusters


def test_the_annotation_of_web_identity_alone_is_refused(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="annotate needs oidc_providers"):
        role(stack, annotate=True)


def test_too_many_accounts_are_refused(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="IAM allows 8192"):
        role(stack, subjects=[f"system:serviceaccount:team-{n}:worker" for n in range(30)])


def test_each_service_account_of_each_cluster_has_an_association(stack: TerraformStack) -> None:
    made = role(stack)
    clusters = [cluster(stack, "one"), cluster(stack, "two", "eu-west-1")]
    associations = PodIdentityAssociations(
        stack, "pods", role_arn=made.resource.arn, clusters=clusters, subjects=SUBJECTS
    )
    body = synth(stack)
    found = of_type(body, "aws_eks_pod_identity_association")
    assert {(each["cluster_name"], each["region"], each["namespace"], each["service_account"]) for each in found} == {
        (name, region, "astro", account)
        for name, region in (("one", "us-east-1"), ("two", "eu-west-1"))
        for account in ("worker", "triggerer")
    }
    (address,) = body["resource"]["aws_iam_role"]
    assert {each["role_arn"] for each in found} == {f"${{aws_iam_role.{address}.arn}}"}
    assert associations.dependencies == associations.resources
    assert not any("target_role_arn" in each or "disable_session_tags" in each for each in found)


@pytest.mark.parametrize("subject", ["worker", "system:serviceaccount:astro:*", "system:serviceaccount:astro", "token"])
def test_an_association_names_one_service_account(stack: TerraformStack, subject: str) -> None:
    if subject == "token":
        subject = TerraformVariable(stack, "subject", type="string").string_value
    with pytest.raises(SettingError, match="must name one Kubernetes service account"):
        PodIdentityAssociations(stack, "pods", role_arn="arn", clusters=[cluster(stack)], subjects=[subject])


def test_an_association_of_nobody_is_refused(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="at least one"):
        PodIdentityAssociations(stack, "pods", role_arn="arn", clusters=[], subjects=SUBJECTS)
