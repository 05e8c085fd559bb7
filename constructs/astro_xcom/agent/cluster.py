"""How Helm reaches a cluster through a kubeconfig file; each cloud adds its own way beside this."""

from cdktf_cdktf_provider_helm.provider import HelmProviderKubernetes

from astro_xcom.settings import Kubeconfig
from astro_xcom.terraform_text import escape_templates, relative_to_stack


def from_kubeconfig(kubeconfig: Kubeconfig) -> HelmProviderKubernetes:
    """Settings of the helm provider for a kubeconfig file on the machine that runs Terraform."""
    return HelmProviderKubernetes(
        config_path=escape_templates(relative_to_stack(kubeconfig.path)),
        config_context=None if kubeconfig.context is None else escape_templates(kubeconfig.context),
    )
