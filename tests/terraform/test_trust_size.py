"""The size of a trust policy is that of the document which real Terraform core hands to IAM."""

import json
from pathlib import Path

import pytest
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from astro_xcom.aws import EksOidcProvider, IrsaRole
from astro_xcom.rules.aws import trust_policy_size
from support import run_standin

pytestmark = pytest.mark.terraform

HOSTS = {
    "aws": "oidc.eks.us-east-1.amazonaws.com",
    "aws-cn": "oidc.eks.cn-north-1.amazonaws.com.cn",
    "aws-us-gov": "oidc.eks.us-gov-west-1.amazonaws.com",
}


def test_the_size_is_that_of_the_applied_document(shared: Path, tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    stack = TerraformStack(app, "roles")
    AwsProvider(stack, "aws", region="us-east-1")
    sizes: dict[str, int] = {}
    for partition, host in HOSTS.items():
        for clusters in (1, 2, 6) if partition == "aws" else (2,):
            arns = [f"arn:{partition}:iam::111122223333:oidc-provider/{host}/id/{n:032X}" for n in range(clusters)]
            providers = [
                EksOidcProvider(stack, f"oidc-{partition}-{clusters}-{n}", arn=arn) for n, arn in enumerate(arns)
            ]
            for accounts in (1, 2, 12):
                subjects = [f"system:serviceaccount:astro:prod-worker-{n}" for n in range(accounts)]
                name = f"{partition}-{clusters}-{accounts}"
                sizes[name] = trust_policy_size(arns, subjects)
                IrsaRole(stack, name, name=name, oidc_providers=providers, subjects=subjects)
    app.synth()
    roles = run_standin(shared, tmp_path / "out" / "stacks" / "roles", tmp_path / "applied").resources("aws_iam_role")
    applied = {role["name"]: json.loads(role["assume_role_policy"]) for role in roles}
    assert {name: len(json.dumps(policy, separators=(",", ":"))) for name, policy in applied.items()} == sizes
