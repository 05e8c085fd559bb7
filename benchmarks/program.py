"""What the benchmark times: synthesize N deployments of each cloud into a folder. `program.py OUT N [CLOUD ...]`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(out: str, count: int, clouds: list[str]) -> None:
    """Without a cloud: an app with one empty stack, made with cdktf alone."""
    if not clouds:
        from cdktf import App, TerraformStack

        app = App(outdir=out)
        TerraformStack(app, "empty")
        app.synth()
        return

    from astro_xcom.deployments import read_deployments
    from astro_xcom.stacks import make_stack

    examples = read_deployments(ROOT / "deployments.yaml")
    from cdktf import App

    app = App(outdir=out)
    for name, deployment in examples.items():
        if name.partition("-")[0] in clouds:
            for number in range(count):
                make_stack(app, f"{name}-{number}", deployment)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
