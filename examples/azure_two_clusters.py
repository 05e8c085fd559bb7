"""Two clusters for failover: agents of either one use the same identity and find the same XComs (Azure)."""

from astro_xcom.azure import AksOidcIssuer, FederatedIdentity, XComAccount, XComContainer
from astro_xcom.service_accounts import subjects
from astro_xcom.settings import AgentSettings
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_azurerm.provider import AzurermProvider, AzurermProviderFeatures

app = App()
stack = TerraformStack(app, "failover")
AzurermProvider(
    stack,
    "azurerm",
    subscription_id="00000000-0000-0000-0000-000000000000",
    storage_use_azuread=True,
    features=[AzurermProviderFeatures()],
)

agent = AgentSettings(namespace="astro", resource_name_prefix="prod")  # the same in both clusters
identity = FederatedIdentity(
    stack,
    "agents",
    name="astro-agents",
    resource_group="astro-xcom",
    location="westeurope",
    issuers=[
        AksOidcIssuer(stack, "primary", cluster_name="data-west", resource_group="aks-west"),
        AksOidcIssuer(stack, "standby", cluster_name="data-north", resource_group="aks-north"),
    ],
    subjects=subjects(agent.service_accounts()),
)
account = XComAccount(
    stack,
    "account",
    name="acmeastroxcom",
    resource_group="astro-xcom",
    location="westeurope",
    replication="ZRS",  # outlives the loss of a zone; GZRS keeps a copy in another region
)
storage = XComContainer(stack, "storage", account=account, identity=identity)
storage.grant_read_write(identity)

TerraformOutput(stack, "client_id", value=identity.client_id)
TerraformOutput(stack, "xcom_path", value=storage.location.url)
TerraformOutput(stack, "env", value=dict(storage.location.env))
app.synth()
