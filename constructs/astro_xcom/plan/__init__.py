"""What the coming apply does, before it does it. Pure: reads the JSON of a Terraform plan."""

from astro_xcom.plan.document import Plan, read_plan
from astro_xcom.plan.effect import KINDS, Effect, Kind
from astro_xcom.plan.forecast import Forecast, forecast

__all__ = ["KINDS", "Effect", "Forecast", "Kind", "Plan", "forecast", "read_plan"]
