"""deployments.yaml -> one stack per deployment -> Terraform JSON in cdktf.out."""

from pathlib import Path

from astro_xcom.terminal import run, say

FILE = Path(__file__).with_name("deployments.yaml")


def main() -> None:
    """Write the JSON of every deployment, or say what is wrong and leave what is there."""
    from astro_xcom.departed import departed
    from astro_xcom.deployments import read_deployments
    from astro_xcom.synthesis import write_stacks

    deployments = read_deployments(FILE)
    for name, deployment in deployments.items():
        for warning in deployment.warnings():
            say(f"{FILE.name}: warning: {name}.{warning}")
    for left in departed(FILE, deployments):
        say(f"{FILE.name}: warning: {left}")
    out = write_stacks(deployments, file=FILE.name)
    for name in deployments:
        print(f"{name}: {out.name}/stacks/{name}/cdk.tf.json")


if __name__ == "__main__":
    run(main)
