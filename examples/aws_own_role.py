"""A new bucket, an existing role: the policy that the role needs to reach the bucket (AWS)."""

from astro_xcom.aws import IrsaRole, XComBucket
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_iam_role import DataAwsIamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.provider import AwsProvider

app = App()
stack = TerraformStack(app, "xcom-bucket")
AwsProvider(stack, "aws", region="us-east-1")

airflow = DataAwsIamRole(stack, "airflow", name="airflow-agents")  # or an IamRole that the app creates

storage = XComBucket(stack, "storage", name="acme-astro-xcom", sse_kms=True)
access = storage.grant_read_write(IrsaRole.from_arn(stack, "agents", airflow.arn))  # changes nothing about the role
IamRolePolicy(stack, "access", name="astro-xcom", role=airflow.name, policy=access.json)

TerraformOutput(stack, "xcom_path", value=storage.location.url)
app.synth()
