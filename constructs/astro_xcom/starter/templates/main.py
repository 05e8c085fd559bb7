"""deployments.yaml -> one stack per deployment -> Terraform JSON in cdktf.out."""

import os
from pathlib import Path

from astro_xcom.terminal import run


def main() -> None:
    """Write the JSON of every deployment, or say what is wrong and leave what is there."""
    from astro_xcom.cli.synth import synthesize

    synthesize(Path(__file__).parent / (os.environ.get("DEPLOYMENTS") or "deployments.yaml"))


if __name__ == "__main__":
    run(main)
