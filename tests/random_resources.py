"""A program with 60 random resource or data source classes of each provider. `random_resources.py OUT SEED`."""

import importlib
import inspect
import random
import sys
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import App, TerraformDataSource, TerraformResource, TerraformStack

import astro_xcom.bindings  # noqa: F401

PROVIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "aws": ("AwsProvider", {"region": "us-east-1"}),
    "azurerm": ("AzurermProvider", {"features": [{}]}),
    "google": ("GoogleProvider", {"project": "example"}),
    "helm": ("HelmProvider", {}),
}
CLASSES = 60


def made_up(annotation: Any) -> Any:
    """A value of a type; TypeError for types that are classes of the provider."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is str:
        return "x"
    if annotation is bool:
        return True
    if annotation in (int, float) or arguments == (int, float):
        return 1
    if origin is typing.Union:
        for argument in arguments:
            try:
                return made_up(argument)
            except TypeError:
                continue
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"key": made_up(arguments[1])}
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return [made_up(arguments[0])]
    raise TypeError(annotation)


def add(stack: TerraformStack, module: str, path: str) -> bool:
    """Add the module's resource or data source to the stack, if its required arguments can be made up."""
    for found in vars(importlib.import_module(f"{path}.{module}")).values():
        if not inspect.isclass(found) or not issubclass(found, (TerraformResource, TerraformDataSource)):
            continue
        parameters = inspect.signature(found.__init__).parameters.values()
        try:
            required = {
                p.name: made_up(p.annotation) for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty
            }
        except TypeError:
            return False
        found(stack, module, **required)
        return True
    return False


def main(out: str, seed: int) -> None:
    chance = random.Random(seed)
    app = App(outdir=out)
    for name, (provider, arguments) in PROVIDERS.items():
        path = f"cdktf_cdktf_provider_{name}"
        stack = TerraformStack(app, name)
        getattr(importlib.import_module(f"{path}.provider"), provider)(stack, "provider", **arguments)
        modules = sorted(set(importlib.import_module(path).__all__) - {"provider"})
        chance.shuffle(modules)
        added = 0
        for module in modules:
            added += added < CLASSES and add(stack, module, path)
        print(name, added)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
