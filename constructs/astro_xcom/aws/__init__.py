"""AWS: an S3 bucket for XComs, an IAM role the agents assume, and the stack that combines them."""

from astro_xcom.aws.bucket import XComBucket, XComBucketRef
from astro_xcom.aws.eks import EksOidcProvider
from astro_xcom.aws.irsa import IrsaRole, IrsaRoleRef
from astro_xcom.aws.stack import AwsXComStack

__all__ = ["AwsXComStack", "EksOidcProvider", "IrsaRole", "IrsaRoleRef", "XComBucket", "XComBucketRef"]
