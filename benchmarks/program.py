"""What the benchmark times: synthesize into a folder. `program.py OUT N [CLOUD ... | +PROVIDER ...]`.

Clouds: N deployments of each. Providers: one resource of each, with the bindings alone. Nothing: an empty stack.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


RESOURCES: dict[str, tuple[str, str, dict[str, Any], str, str, dict[str, Any]]] = {
    "aws": ("AwsProvider", "provider", {"region": "us-east-1"}, "S3Bucket", "s3_bucket", {}),
    "azurerm": (
        "AzurermProvider", "provider", {"features": [{}]},
        "ResourceGroup", "resource_group", {"name": "x", "location": "westeurope"},
    ),
    "google": (
        "GoogleProvider", "provider", {"project": "example"},
        "StorageBucket", "storage_bucket", {"name": "x", "location": "EU"},
    ),
    "helm": ("HelmProvider", "provider", {}, "Release", "release", {"name": "x", "chart": "x"}),
}  # fmt: skip


def touch(out: str, providers: list[str]) -> None:
    """One resource of each provider."""
    if providers:
        import astro_xcom.bindings  # noqa: F401
    from cdktf import App, TerraformStack

    app = App(outdir=out)
    stack = TerraformStack(app, "stack")
    for name in providers:
        provider, module, arguments, resource, other, more = RESOURCES[name]
        package = f"cdktf_cdktf_provider_{name}"
        getattr(importlib.import_module(f"{package}.{module}"), provider)(stack, name, **arguments)
        getattr(importlib.import_module(f"{package}.{other}"), resource)(stack, f"{name}-resource", **more)
    app.synth()


def main(out: str, count: int, what: list[str]) -> None:
    """Synthesize what is asked for."""
    if not what or what[0].startswith("+"):
        touch(out, [name[1:] for name in what])
        return
    clouds = what
    from astro_xcom.deployments import read_deployments
    from astro_xcom.synthesis import make_stack

    examples = read_deployments(ROOT / "tests" / "example" / "deployments.yaml")
    from cdktf import App

    app = App(outdir=out)
    for name, deployment in examples.items():
        if name.partition("-")[0] in clouds:
            for number in range(count):
                make_stack(app, f"{name}-{number}", deployment)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
