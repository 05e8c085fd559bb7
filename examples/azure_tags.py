"""Tags on everything: an Aspect reaches what the constructs create, and your own resources too (Azure)."""

from collections.abc import Mapping
from typing import Any

import jsii
from astro_xcom.azure import AksOidcIssuer, FederatedIdentity, XComAccount, XComContainer
from cdktf import App, Aspects, IAspect, TerraformStack
from cdktf_cdktf_provider_azurerm.provider import AzurermProvider, AzurermProviderFeatures
from cdktf_cdktf_provider_azurerm.resource_group import ResourceGroup


@jsii.implements(IAspect)
class AddTags:
    """Adds tags to every resource that can have some; a resource's own tags win."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        self.tags = tags

    def visit(self, node: Any) -> None:
        """Called for each construct below the one that the Aspect was added to."""
        if hasattr(node, "tags_input"):  # only resources with tags have it
            node.tags = {**self.tags, **(node.tags_input or {})}


app = App()
stack = TerraformStack(app, "tagged")
AzurermProvider(
    stack,
    "azurerm",
    subscription_id="00000000-0000-0000-0000-000000000000",
    storage_use_azuread=True,
    features=[AzurermProviderFeatures()],
)

group = ResourceGroup(stack, "group", name="astro-xcom", location="westeurope")
identity = FederatedIdentity(
    stack,
    "agents",
    name="astro-agents",
    resource_group=group.name,
    location=group.location,
    issuers=[AksOidcIssuer(stack, "cluster", cluster_name="data-prod", resource_group="aks-data")],
    subjects=["system:serviceaccount:astro:prod-worker-default-worker"],
)
account = XComAccount(
    stack,
    "account",
    name="acmeastroxcom",
    resource_group=group.name,
    location=group.location,
    tags={"team": "airflow"},
)
XComContainer(stack, "storage", account=account, identity=identity).grant_read_write(identity)

Aspects.of(stack).add(AddTags({"team": "data-platform", "cost-center": "4711"}))
app.synth()
