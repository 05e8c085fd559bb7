"""deployments.yaml -> one stack per deployment -> Terraform JSON in cdktf.out."""

import sys
from pathlib import Path

from astro_xcom.cli.synth import synthesize
from astro_xcom.refusal import Refusals, Refused

if __name__ == "__main__":
    try:
        synthesize(Path(__file__).with_name("deployments.yaml"))
    except (Refused, Refusals) as error:
        sys.exit(str(error))
