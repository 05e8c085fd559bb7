"""Google Cloud: a bucket for XComs, a service account the agents use, and the stack that combines them."""

from astro_xcom.gcp.bucket import XComBucket, XComBucketRef
from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.stack import GcpXComStack
from astro_xcom.gcp.workload_identity import WorkloadIdentity, WorkloadIdentityRef

__all__ = [
    "GcpXComStack",
    "GkeWorkloadPool",
    "WorkloadIdentity",
    "WorkloadIdentityRef",
    "XComBucket",
    "XComBucketRef",
]
