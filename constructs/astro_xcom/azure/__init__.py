"""Azure: a blob container for XComs, a managed identity the agents use, and the stack that combines them."""

from astro_xcom.azure.account import XComAccount, XComAccountRef
from astro_xcom.azure.aks import AksOidcIssuer
from astro_xcom.azure.container import XComContainer, XComContainerRef
from astro_xcom.azure.federation import FederatedIdentity, FederatedIdentityRef
from astro_xcom.azure.stack import AzureXComStack

__all__ = [
    "AksOidcIssuer",
    "AzureXComStack",
    "FederatedIdentity",
    "FederatedIdentityRef",
    "XComAccount",
    "XComAccountRef",
    "XComContainer",
    "XComContainerRef",
]
