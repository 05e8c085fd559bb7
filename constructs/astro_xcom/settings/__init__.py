"""What a deployment is: typed, frozen settings that deployments.yaml and Python callers share."""

from astro_xcom.settings.agent import AgentSettings, Kubeconfig, ValuesFile
from astro_xcom.settings.aws import AwsDeployment, AwsIdentity, AwsRole, AwsStorage, EksCluster
from astro_xcom.settings.azure import (
    AksCluster,
    AzureDeployment,
    AzureIdentity,
    AzureNetwork,
    AzurePrivateEndpoint,
    AzureResourceGroup,
    AzureStorage,
    AzureUserIdentity,
    CustomerManagedKey,
)
from astro_xcom.settings.backend import AzurermState, GcsState, HcpState, LocalState, RemoteState, S3State, State
from astro_xcom.settings.base import Settings
from astro_xcom.settings.deployment import Deployment
from astro_xcom.settings.gcp import GcpDeployment, GcpIdentity, GcpServiceAccount, GcpStorage, GkeCluster
from astro_xcom.settings.permissions import AwsPolicyStatement, AzureRole, GcpRole
from astro_xcom.settings.terraform import Providers, TerraformSettings
from astro_xcom.settings.xcom import StateStoreSettings, XComSettings

__all__ = [
    "AgentSettings",
    "AksCluster",
    "AwsDeployment",
    "AwsIdentity",
    "AwsPolicyStatement",
    "AwsRole",
    "AwsStorage",
    "AzureDeployment",
    "AzureIdentity",
    "AzureNetwork",
    "AzurePrivateEndpoint",
    "AzureResourceGroup",
    "AzureRole",
    "AzureStorage",
    "AzureUserIdentity",
    "AzurermState",
    "CustomerManagedKey",
    "Deployment",
    "EksCluster",
    "GcpDeployment",
    "GcpIdentity",
    "GcpRole",
    "GcpServiceAccount",
    "GcpStorage",
    "GcsState",
    "GkeCluster",
    "HcpState",
    "Kubeconfig",
    "LocalState",
    "Providers",
    "RemoteState",
    "S3State",
    "Settings",
    "State",
    "StateStoreSettings",
    "TerraformSettings",
    "ValuesFile",
    "XComSettings",
]
