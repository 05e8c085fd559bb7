"""AWS: an S3 bucket for XComs, an IAM role the agents assume, and the stack that combines them."""

from typing import TYPE_CHECKING

from astro_xcom.aws.bucket import XComBucket, XComBucketRef
from astro_xcom.aws.eks import EksOidcProvider, EksPodIdentityCluster
from astro_xcom.aws.irsa import IrsaRole, IrsaRoleRef
from astro_xcom.aws.permissions import PolicyStatement
from astro_xcom.aws.pod_identity import PodIdentityAssociations

if TYPE_CHECKING:
    from astro_xcom.aws.stack import AwsXComStack

__all__ = [
    "AwsXComStack",
    "EksOidcProvider",
    "EksPodIdentityCluster",
    "IrsaRole",
    "IrsaRoleRef",
    "PodIdentityAssociations",
    "PolicyStatement",
    "XComBucket",
    "XComBucketRef",
]


def __getattr__(name: str) -> object:
    """The stack only when it is asked for: it needs the helm provider, the constructs do not."""
    if name == "AwsXComStack":
        from astro_xcom.aws.stack import AwsXComStack

        return AwsXComStack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
