"""What the tests share: settings from YAML, synthesized JSON, and applied stacks."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cdktf import App, TerraformOutput, TerraformStack, Testing

from astro_xcom.deployments import read_deployments
from astro_xcom.settings import Deployment
from astro_xcom.synthesis import make_stack
from once import made_once

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE = PROJECT / "tests" / "example"
"""deployments.yaml and its values file, as the project has them: yours may be changed, and these stay."""
GOLDEN = PROJECT / "tests" / "golden"
CHART = PROJECT / "tests" / "chart"

TERRAFORM = os.environ.get("TERRAFORM_BINARY_NAME") or "terraform"
"""Terraform, or OpenTofu: TERRAFORM_BINARY_NAME=tofu make test-terraform."""

Body = dict[str, Any]

AGENT: Body = {"namespace": "astro", "resource_name_prefix": "prod"}
BASES: dict[str, Body] = {
    "aws": {"region": "us-east-1", "cluster": {"name": "data"}, "storage": {"bucket": "acme-xcom"}},
    "azure": {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "astro-xcom"},
        "cluster": {"name": "data", "resource_group": "aks"},
        "storage": {"account": "acmeastroxcom"},
    },
    "gcp": {
        "project": "acme-data",
        "cluster": {"name": "data", "location": "us-central1"},
        "storage": {"bucket": "acme-xcom", "location": "US"},
    },
}
"""Cloud -> the smallest deployment but for its agent."""


def edited(base: Any, edit: Any) -> Any:
    """A mapping with another one merged into it; null removes a key."""
    if not isinstance(base, dict) or not isinstance(edit, dict):
        return edit
    merged = {**base, **{key: edited(base.get(key), value) for key, value in edit.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def synth(stack: TerraformStack) -> Body:
    """The stack's Terraform JSON."""
    body: Body = json.loads(Testing.synth(stack))
    return body


def resolved(stack: TerraformStack, value: Any) -> Any:
    """A value with tokens as it stands in the JSON."""
    TerraformOutput(stack, "resolved", value=value)
    return synth(stack)["output"]["resolved"]["value"]


def synth_file(file: Path, out: Path) -> dict[str, Path]:
    """Synthesize every deployment of a file, as main.py does; deployment name -> stack folder."""
    app = App(outdir=str(out))
    deployments = read_deployments(file)
    for name, deployment in deployments.items():
        make_stack(app, name, deployment)
    app.synth()
    return {name: out / "stacks" / name for name in deployments}


def read(text: str, folder: Path) -> dict[str, Deployment]:
    """The deployments of a YAML text."""
    file = folder / "deployments.yaml"
    file.write_text(text)
    return read_deployments(file)


def of_type(body: Body, type_: str, *, kind: str = "resource") -> list[Body]:
    """Every resource (or data source) of a type."""
    return list(body.get(kind, {}).get(type_, {}).values())


def only(body: Body, type_: str, *, kind: str = "resource") -> Body:
    """The one resource of a type. Fails unless there is exactly one."""
    found = of_type(body, type_, kind=kind)
    assert len(found) == 1, f"{len(found)} of {type_}: {sorted(body.get(kind, {}))}"
    return found[0]


@dataclass(frozen=True)
class Run:
    """A stack after plan, apply and an empty second plan."""

    plan: Body
    state: Body

    @classmethod
    def of(cls, out: Path) -> "Run":
        """Read what the stand-in left in a folder."""
        return cls(*(json.loads((out / f"{name}.json").read_text()) for name in ("plan", "state")))

    def resources(self, type_: str) -> Iterator[Body]:
        """The applied values of every managed resource of a type."""
        for resource in self.state["values"]["root_module"]["resources"]:
            if resource["type"] == type_ and resource["mode"] == "managed":
                yield resource["values"]

    def data(self, type_: str) -> Iterator[Body]:
        """What every data source of a type found."""
        for resource in self.state["values"]["root_module"]["resources"]:
            if resource["type"] == type_ and resource["mode"] == "data":
                yield resource["values"]

    def one(self, type_: str) -> Body:
        """The one managed resource of a type."""
        (found,) = self.resources(type_)
        return found

    def output(self, name: str) -> Any:
        """The value of an output."""
        return self.state["values"]["outputs"][name]["value"]

    @property
    def agent_values(self) -> Body:
        """What the chart receives."""
        (document,) = self.one("helm_release")["values"]
        values: Body = yaml.safe_load(document)
        return values


class Applied:
    """Stack folder -> what Terraform made of it; each stack is applied once, whichever process asks for it."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self._shared, self._folder = shared, folder
        self._runs: dict[str, Run] = {}

    def __call__(self, stack: Path) -> Run:
        key = hashlib.sha256((stack / "cdk.tf.json").read_bytes()).hexdigest()
        if key not in self._runs:
            out = made_once(self._folder / key, lambda folder: _run_standin(self._shared, stack, folder))
            self._runs[key] = Run.of(out)
        return self._runs[key]


def run_standin(shared: Path, stack: Path, out: Path, *options: str) -> Run:
    """Init, validate, plan, apply and plan again, with real Terraform core and providers that echo."""
    _run_standin(shared, stack, out, *options)
    return Run.of(out)


def _run_standin(shared: Path, stack: Path, out: Path, *options: str) -> None:
    command = [sys.executable, str(shared / "standin" / "run"), *options, str(stack), str(out)]
    # The second plan meets what a cloud sets by itself, and must not want to undo it.
    env = {**os.environ, "STANDIN_REMOTE_DEFAULTS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def render(helm: Path, values: Path, *, name: str = "astro-agent", namespace: str = "astro") -> list[Body]:
    """The objects that real Helm makes of the chart in tests/chart."""
    command = [str(helm), "template", name, str(CHART), "--namespace", namespace, "--values", str(values)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
