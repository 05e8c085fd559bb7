"""Environment only: the variables of the XCom backend, for Airflow that another tool installs (any cloud)."""

from astro_xcom.settings import XComSettings
from astro_xcom.xcom import XCOM_BACKEND, XComLocation
from cdktf import App, TerraformOutput, TerraformStack

app = App()
stack = TerraformStack(app, "environment")

location = XComLocation(url="gs://acme-astro-xcom/xcom")
variables = XComSettings(compression="none").variables(location)

TerraformOutput(stack, "env", value={"AIRFLOW__CORE__XCOM_BACKEND": XCOM_BACKEND, **variables})
app.synth()
