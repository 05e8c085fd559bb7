"""What a smallest deployment of each cloud has to be told, with what is taken where nobody says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from astro_xcom.rules import aws, azure, common, gcp

Answers = dict[str, str]
UNSAID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One setting of the deployment."""

    key: str
    """Its name in deployments.yaml; `name` is the deployment's own."""
    asks: str
    rule: Callable[[str], str]
    default: Callable[[Mapping[str, str]], str]
    """From the answers to the questions before, and `suffix`, which no other repository has."""
    made_up: bool = False
    """Whether the default is nobody's: good for a look at the JSON only."""


def _always(value: str) -> Callable[[Mapping[str, str]], str]:
    return lambda answers: value


def _unique(answers: Mapping[str, str]) -> str:
    return f"{answers['name']}-xcom-{answers['suffix']}"


def questions(cloud: str) -> list[Question]:
    """In the order to ask them."""
    first = Question(
        key="name", asks="a name for the deployment", rule=common.deployment_name, default=_always(f"astro-{cloud}")
    )
    return [first, *CLOUDS[cloud], *AGENTS]


AGENTS = [
    Question(
        key="agent.namespace",
        asks="the agents' Kubernetes namespace",
        rule=common.dns_label,
        default=_always("astro"),
    ),
    Question(
        key="agent.resource_name_prefix",
        asks="what starts the name of each of their objects",
        rule=common.resource_name_prefix,
        default=lambda answers: common.slug(answers["name"], longest=40),
    ),
]
CLOUDS = {
    "aws": [
        Question(key="region", asks="the AWS region", rule=aws.aws_region, default=_always("us-east-1"), made_up=True),
        Question(
            key="cluster.name", asks="the EKS cluster", rule=aws.eks_cluster, default=_always("data-prod"), made_up=True
        ),
        Question(
            key="storage.bucket", asks="a new S3 bucket, unique in the world", rule=aws.s3_bucket, default=_unique
        ),
    ],
    "azure": [
        Question(
            key="subscription_id", asks="the subscription's id", rule=azure.guid, default=_always(UNSAID), made_up=True
        ),
        Question(key="location", asks="the location", rule=azure.location, default=_always("westeurope"), made_up=True),
        Question(
            key="resource_group.name",
            asks="a new resource group",
            rule=azure.resource_group,
            default=lambda answers: f"{answers['name']}-xcom",
        ),
        Question(
            key="cluster.name",
            asks="the AKS cluster",
            rule=azure.aks_cluster,
            default=_always("data-prod"),
            made_up=True,
        ),
        Question(
            key="cluster.resource_group",
            asks="the cluster's resource group",
            rule=azure.resource_group,
            default=_always("aks-data"),
            made_up=True,
        ),
    ],
    "gcp": [
        Question(
            key="project", asks="the project's id", rule=gcp.project_id, default=_always("acme-data"), made_up=True
        ),
        Question(
            key="cluster.name", asks="the GKE cluster", rule=gcp.gke_cluster, default=_always("data-prod"), made_up=True
        ),
        Question(
            key="cluster.location",
            asks="the cluster's region or zone",
            rule=gcp.gke_location,
            default=_always("us-central1"),
            made_up=True,
        ),
        Question(key="storage.bucket", asks="a new bucket, unique in the world", rule=gcp.bucket, default=_unique),
        Question(
            key="storage.location",
            asks="the bucket's location",
            rule=gcp.location,
            default=lambda answers: "-".join(answers["cluster.location"].split("-")[:2]),
        ),
    ],
}
