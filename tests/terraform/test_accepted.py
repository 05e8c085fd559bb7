"""Settings that were spoilt at random and are accepted all the same: real Terraform core accepts their stacks, too."""

import json
import random
from pathlib import Path

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import AstroXComError
from hostile.test_fuzz import SEED, mutated
from support import EXAMPLE, Body, run_standin, synth_file

pytestmark = pytest.mark.terraform

STACKS = 2  # per cloud: each takes some seconds


def accepted(cloud: str, folder: Path) -> list[Path]:
    """Files of one deployment each, the example's but for one to three places, which the settings accept."""
    name = f"{cloud}-example"
    example = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    sample = {"defaults": example["defaults"], "deployments": {name: example["deployments"][name]}}
    random_, found = random.Random(f"{SEED} accepted {cloud}"), {json.dumps(sample)}
    files: list[Path] = []
    while len(files) < STACKS:
        file = folder / str(len(files)) / "deployments.yaml"
        file.parent.mkdir(exist_ok=True)
        if not (file.parent / "examples").exists():
            (file.parent / "examples").symlink_to(EXAMPLE / "examples")
        content: Body = mutated(sample, random_)
        text = json.dumps(content)
        file.write_bytes(text.encode(errors="surrogatepass"))
        try:
            deployments = read_deployments(file)
        except AstroXComError:
            continue
        if text not in found and deployments:
            found.add(text)
            files.append(file)
    return files


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_what_the_settings_accept_terraform_accepts(cloud: str, shared: Path, tmp_path: Path) -> None:
    for file in accepted(cloud, tmp_path):
        for stack in synth_file(file, file.parent / "out").values():
            run_standin(shared, stack, file.parent / "applied")
