"""Google Cloud: a bucket for XComs, a service account the agents use, and the stack that combines them."""

from typing import TYPE_CHECKING

from astro_xcom.gcp.bucket import XComBucket, XComBucketRef
from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.workload_identity import DirectPrincipals, WorkloadIdentity, WorkloadIdentityRef
from astro_xcom.permissions import RoleOn

if TYPE_CHECKING:
    from astro_xcom.gcp.stack import GcpXComStack

__all__ = [
    "DirectPrincipals",
    "GcpXComStack",
    "GkeWorkloadPool",
    "RoleOn",
    "WorkloadIdentity",
    "WorkloadIdentityRef",
    "XComBucket",
    "XComBucketRef",
]


def __getattr__(name: str) -> object:
    """The stack only when it is asked for: it needs the helm provider, the constructs do not."""
    if name == "GcpXComStack":
        from astro_xcom.gcp.stack import GcpXComStack

        return GcpXComStack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
