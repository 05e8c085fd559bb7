"""Deployment -> stack, loading only the providers of the clouds in use."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from astro_xcom.refusal import Refusals, Refused
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment

if TYPE_CHECKING:
    from constructs import Construct

    from astro_xcom.stack import XComStack


def make_stack(scope: "Construct", name: str, deployment: Deployment) -> "XComStack":
    """The stack of one deployment. Raises Refused or Refusals for settings that contradict one another."""
    if isinstance(deployment, AwsDeployment):
        from astro_xcom.aws import AwsXComStack

        return AwsXComStack(scope, name, deployment)
    if isinstance(deployment, GcpDeployment):
        from astro_xcom.gcp import GcpXComStack

        return GcpXComStack(scope, name, deployment)
    if isinstance(deployment, AzureDeployment):
        from astro_xcom.azure import AzureXComStack

        return AzureXComStack(scope, name, deployment)
    raise TypeError(f"no stack for {type(deployment).__name__}")


def add_stacks(scope: "Construct", deployments: Mapping[str, Deployment], *, file: str) -> None:
    """A stack for each deployment. Raises Refusals: a line for each problem of any of them, starting with `file`."""
    problems: list[str] = []
    for name, deployment in deployments.items():
        try:
            make_stack(scope, name, deployment)
        except (Refused, Refusals) as error:
            problems += [f"{file}: {name}: {line}" for line in str(error).splitlines()]
    if problems:
        raise Refusals(problems)
