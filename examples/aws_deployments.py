"""The Python form of deployments.yaml: a loop creates whole deployments, one stack each (AWS)."""

from pathlib import Path

from astro_xcom.aws import AwsXComStack
from astro_xcom.settings import (
    AgentSettings,
    AwsDeployment,
    AwsStorage,
    EksCluster,
    S3State,
    State,
    StateStoreSettings,
    ValuesFile,
    XComSettings,
)
from cdktf import App

VALUES = ValuesFile.read(Path(__file__).with_name("agent-values.yaml"))

app = App()
for stage, retention_days in (("test", 14), ("prod", 60)):
    AwsXComStack(
        app,
        f"astro-{stage}",
        AwsDeployment(
            region="us-east-1",
            tags={"stage": stage},
            cluster=EksCluster(name=f"data-{stage}"),
            agent=AgentSettings(namespace="astro", resource_name_prefix=stage, values_files=(VALUES,)),
            storage=AwsStorage(bucket=f"acme-astro-xcom-{stage}"),
            xcom=XComSettings(retention_days=retention_days),
            state_store=StateStoreSettings(path="state"),
            state=State(s3=S3State(bucket="acme-terraform-state", region="us-east-1")),
        ),
    )
app.synth()
