"""Azure: a blob container for XComs, a managed identity the agents use, and the stack that combines them."""

from typing import TYPE_CHECKING

from astro_xcom.azure.account import XComAccount, XComAccountRef
from astro_xcom.azure.aks import AksOidcIssuer
from astro_xcom.azure.container import XComContainer, XComContainerRef
from astro_xcom.azure.federation import FederatedIdentity, FederatedIdentityRef
from astro_xcom.permissions import RoleOn

if TYPE_CHECKING:
    from astro_xcom.azure.stack import AzureXComStack

__all__ = [
    "AksOidcIssuer",
    "AzureXComStack",
    "FederatedIdentity",
    "FederatedIdentityRef",
    "RoleOn",
    "XComAccount",
    "XComAccountRef",
    "XComContainer",
    "XComContainerRef",
]


def __getattr__(name: str) -> object:
    """The stack only when it is asked for: it needs the helm provider, the constructs do not."""
    if name == "AzureXComStack":
        from astro_xcom.azure.stack import AzureXComStack

        return AzureXComStack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
