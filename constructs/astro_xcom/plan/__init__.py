"""What the coming apply does, before it does it. Pure: reads the JSON of a Terraform plan."""

from astro_xcom.plan.document import Plan, read_plan
from astro_xcom.plan.effects import KINDS, Effect, Forecast, forecast

__all__ = ["KINDS", "Effect", "Forecast", "Plan", "forecast", "read_plan"]
