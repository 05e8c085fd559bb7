"""Your app's bucket, a new role: XComs go into a bucket that the app creates itself (AWS)."""

from astro_xcom.aws import EksOidcProvider, IrsaRole, XComBucket
from astro_xcom.service_accounts import subjects
from astro_xcom.settings import AgentSettings
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket

app = App()
stack = TerraformStack(app, "data-lake")
AwsProvider(stack, "aws", region="us-east-1")

lake = S3Bucket(stack, "lake", bucket="acme-data-lake")  # its lifecycle should expire airflow/xcom/

agent = AgentSettings(namespace="astro", resource_name_prefix="prod")  # as in the values the agents are installed with
storage = XComBucket.from_name(stack, "xcom", lake.bucket, path="airflow/xcom")
role = IrsaRole(
    stack,
    "agents",
    name="astro-agents",
    oidc_providers=[EksOidcProvider(stack, "cluster", cluster_name="data-prod")],
    subjects=subjects(agent.service_accounts()),
)
storage.grant_read_write(role)

TerraformOutput(stack, "xcom_path", value=storage.location.url)
TerraformOutput(stack, "role_arn", value=role.arn)
app.synth()
