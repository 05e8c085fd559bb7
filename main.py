"""deployments.yaml -> one stack per deployment -> Terraform JSON in cdktf.out."""

import sys
from pathlib import Path

from astro_xcom.departed import departed
from astro_xcom.deployments import read_deployments
from astro_xcom.refusal import Refusals, Refused
from astro_xcom.stacks import add_stacks

FILE = Path(__file__).with_name("deployments.yaml")


def main() -> None:
    """Write the JSON of every deployment, or say what is wrong and write nothing."""
    deployments = read_deployments(FILE)
    from cdktf import App  # only for a good file: it takes a while

    app = App()
    for name, deployment in deployments.items():
        for warning in deployment.warnings():
            print(f"{FILE.name}: warning: {name}.{warning}", file=sys.stderr)
    for left in departed(FILE, deployments):
        print(f"{FILE.name}: warning: {left}", file=sys.stderr)
    add_stacks(app, deployments, file=FILE.name)
    app.synth()
    for name in deployments:
        print(f"{name}: {Path(app.outdir).name}/stacks/{name}/cdk.tf.json")


if __name__ == "__main__":
    try:
        main()
    except (Refused, Refusals) as error:
        sys.exit(str(error))
