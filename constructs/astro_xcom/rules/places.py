"""Where an id says that it is: partition, region and account on AWS, the environment on Azure. Pure."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

# ---- AWS

PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eu-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""How the regions of a partition start; any other region is in `aws`."""


class Arn(NamedTuple):
    """The parts of an ARN that say where the thing is; empty where the service has no such part."""

    partition: str
    region: str
    account: str


def arn(value: str) -> Arn:
    """Where an ARN says that its thing is."""
    _, partition, _, region, account, _ = value.split(":", 5)
    return Arn(partition, region, account)


def partition(region: str) -> str:
    """The partition of a region."""
    return next((found for start, found in PARTITIONS.items() if region.startswith(start)), "aws")


def issuer_region(oidc_provider_arn: str) -> str | None:
    """The region of the EKS cluster of an OIDC provider; None for issuers that are not of EKS."""
    match = re.search(r":oidc-provider/oidc[.-]eks\.([a-z0-9-]+)\.", oidc_provider_arn)
    return match[1] if match else None


def oidc_provider_arn(region: str, account: str = "000000000000") -> str:
    """What the OIDC provider of a cluster that is looked up is called, letter for letter as long."""
    of = partition(region)
    host = f"oidc.eks.{region}.amazonaws.com{'.cn' if of == 'aws-cn' else ''}"
    return f"arn:{of}:iam::{account}:oidc-provider/{host}/id/{'0' * 32}"


def bucket_place(bucket: str) -> tuple[str, str] | None:
    """(account, region) of a bucket in an account's own regional namespace; None for all others."""
    match = re.fullmatch(r".+-([0-9]{12})-([a-z]+(?:-[a-z]+)+-[0-9])-an", bucket)
    return (match[1], match[2]) if match else None


# ---- Azure

ENVIRONMENTS = {
    "public": ("core.windows.net", "vault.azure.net", "oic.prod-aks.azure.com"),
    "usgovernment": ("core.usgovcloudapi.net", "vault.usgovcloudapi.net", "oic.prod-aks.azure.us"),
    "china": ("core.chinacloudapi.cn", "vault.azure.cn", "oic.prod-aks.azure.cn"),
}
"""Environment -> how the hosts of its storage, its key vaults and the issuers of its AKS clusters end."""


def environment_of_location(location: str) -> str:
    """The environment of a region."""
    if location.startswith(("usgov", "usdod")):
        return "usgovernment"
    return "china" if location.startswith("china") else "public"


def environment_of_host(value: str) -> str | None:
    """The environment of a host, a URL, or a private DNS zone's resource id; None for hosts that are not Azure's."""
    host = ((urlsplit(value).hostname if "://" in value else value.rpartition("/")[2]) or "").lower()
    return next((name for name, ends in ENVIRONMENTS.items() if host.endswith(tuple(f".{end}" for end in ends))), None)


def issuer_tenant(issuer: str) -> str | None:
    """The tenant of an AKS cluster's issuer; None for issuers that are not of AKS."""
    url = urlsplit(issuer)
    if ".oic." not in (url.hostname or "") or environment_of_host(issuer) is None:
        return None
    return url.path.strip("/").partition("/")[0].lower() or None


def group_of(resource_id: str) -> tuple[str, str]:
    """(subscription, resource group) of a resource id, in lower case: Azure folds it."""
    parts = resource_id.lower().split("/")
    return parts[2], parts[4]
