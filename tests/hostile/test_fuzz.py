"""Mutated input of every kind: what is wrong is refused in words, soon, and nothing is written.

Bounded and seeded here; `make fuzz` goes on for longer and says its seed.
"""

import copy
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import AstroXComError
from astro_xcom.hcp.stack_files import body, read_stacks
from astro_xcom.hcp.target import target
from astro_xcom.json_files import parse_json
from astro_xcom.plan import forecast, read_plan
from astro_xcom.plan import text as plan_text
from astro_xcom.report import check, read_state
from astro_xcom.settings import Deployment
from hostile.world import contents
from support import EXAMPLE, GOLDEN
from test_check import made

SEED = int(os.environ.get("FUZZ_SEED", "20261128"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
TIMES = 60
LONGEST = 10

DEEP: Any = "x"
for _ in range(150):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3.5, 2**53 + 1, 10**30, 1e300, "", " ", "x", "x" * 5000, "\0", "\u200b", "\x1b[31m",
    "\ud800", "${x}", "%{if}", "{TfToken[1]}", "../..", "/dev/zero", "__proto__", "NaN", [], {}, [[]], [None],
    {"": None}, {"name": None}, {"name": ["x"]},
    [{"name": "x"}, {"name": "x"}], {"__proto__": 1}, {"$jsii.byref": "x"}, DEEP,
)  # fmt: skip


def mutated(value: Any, random_: random.Random) -> Any:
    """The value with one to three places replaced, removed, doubled or renamed."""
    value = copy.deepcopy(value)
    for _ in range(random_.randint(1, 3)):
        holder, key = random_.choice(list(places(value)) or [({"": value}, "")])
        way = random_.randrange(5)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, dict):
            holder[random_.choice(["x", "", "__proto__", "a" * 300, "\u200b"])] = holder.pop(key)
        elif way == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(random_.choice(ODD))
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from places(item)


@contextmanager
def soon() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took longer than {LONGEST} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(what: str, sample: Any, attempt: Callable[[Any], object]) -> None:
    """Whatever is tried ends well, or is SettingError in lines that can be read."""
    attempt(copy.deepcopy(sample))  # what is spoilt below is good
    random_ = random.Random(f"{SEED} {what}")
    end = time.monotonic() + SECONDS
    tried = refused = 0
    while tried < TIMES or time.monotonic() < end:
        tried += 1
        given = mutated(sample, random_)
        try:
            with soon():
                attempt(given)
        except AstroXComError as error:
            refused += bool(str(error).strip())
        except Exception as error:
            raise AssertionError(f"seed {SEED}, attempt {tried} of {what}: {given!r:.3000}") from error
    assert 0 < refused < tried, "all were alike, which tells nothing"


@pytest.fixture(scope="module")
def deployments() -> dict[str, Deployment]:
    return read_deployments(EXAMPLE / "deployments.yaml")


@pytest.mark.parametrize("source", [EXAMPLE, *sorted(file.parent for file in GOLDEN.glob("*/deployments.yaml"))])
def test_settings(source: Path, tmp_path: Path) -> None:
    project = tmp_path / source.name
    project.mkdir()
    (project / "examples").symlink_to(EXAMPLE / "examples")
    for folder in {project, tmp_path / "aws"}:
        folder.mkdir(exist_ok=True)
        (folder / "maximal-values.yaml").symlink_to(GOLDEN / "aws" / "maximal-values.yaml")
    file = project / "deployments.yaml"

    def attempt(given: Any) -> None:
        file.write_bytes(json.dumps(given).encode())
        before = contents(tmp_path)
        try:
            for deployment in read_deployments(file).values():
                list(deployment.warnings())
        finally:
            assert contents(tmp_path) == before

    fuzz(f"settings {source.name}", yaml.safe_load((source / "deployments.yaml").read_text()), attempt)


def test_bytes_of_settings(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLE / "examples")
    file = tmp_path / "deployments.yaml"

    def attempt(given: list[str]) -> None:
        file.write_bytes("\n".join(map(str, given)).encode(errors="surrogatepass"))
        read_deployments(file)

    fuzz("lines of settings", (EXAMPLE / "deployments.yaml").read_text().splitlines(), attempt)


def test_values(tmp_path: Path) -> None:
    sample = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    values = yaml.safe_load((EXAMPLE / "examples" / "agent-values.yaml").read_text())
    values |= {"workers": [{"name": "a", "env": [{"name": "B", "value": "c"}], "serviceAccount": {"name": "d"}}]}
    values |= {"serviceAccount": {"workers": {"annotations": {"e": "f"}}}, "labels": {"g": "h"}}

    def attempt(given: Any) -> None:
        (tmp_path / "examples").mkdir(exist_ok=True)
        (tmp_path / "examples" / "agent-values.yaml").write_bytes(json.dumps(given).encode())
        (tmp_path / "deployments.yaml").write_text(json.dumps(sample))
        for deployment in read_deployments(tmp_path / "deployments.yaml").values():
            deployment.agent.service_accounts()

    fuzz("values", values, attempt)


# ---- JSON from elsewhere

CLOUDS = ("aws", "azure", "gcp")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_states(cloud: str) -> None:
    deployment, synth, state = made(f"{cloud}-example")

    def attempt(given: Any) -> None:
        check(deployment, synth, read_state(json.dumps(given)))

    fuzz(f"states {cloud}", state, attempt)
    fuzz(f"outputs {cloud}", state["values"]["outputs"], attempt)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_plans(cloud: str) -> None:
    deployment, _, state = made(f"{cloud}-example")
    changes = [
        {**each, "change": {"actions": ["delete", "create"], "before": each["values"], "after": each["values"]}}
        for each in state["values"]["root_module"]["resources"]
    ]
    sample = {
        "format_version": "1.2",
        "planned_values": {},
        "resource_changes": changes,
        "resource_drift": changes[:1],
        "output_changes": {
            key: {"before": each["value"], "after": each["value"]} for key, each in state["values"]["outputs"].items()
        },
        "timestamp": "2026-11-28T00:00:00Z",
    }

    def attempt(given: Any) -> None:
        plan_text("x", forecast(deployment, read_plan(json.dumps(given))), ())

    fuzz(f"plans {cloud}", sample, attempt)


def test_from(tmp_path: Path, deployments: dict[str, Deployment]) -> None:
    from astro_xcom.synthesis import synthesized

    bodies = synthesized(deployments, file="x")
    folder = tmp_path / "stacks" / "a"
    folder.mkdir(parents=True)

    def attempt(given: Any) -> None:
        (folder / "cdk.tf.json").write_bytes(json.dumps(given).encode())
        before = contents(tmp_path)
        try:
            for name, files in read_stacks(tmp_path).items():
                target(name, body(files), organization="acme")
        finally:
            assert contents(tmp_path) == before

    for name, sample in bodies.items():
        fuzz(f"--from {name}", sample, attempt)


def test_manifests(tmp_path: Path) -> None:
    (tmp_path / "stacks" / "a").mkdir(parents=True)
    (tmp_path / "stacks" / "a" / "cdk.tf.json").write_text("{}")

    def attempt(given: Any) -> None:
        (tmp_path / "manifest.json").write_bytes(json.dumps(given).encode())
        read_stacks(tmp_path)

    fuzz("manifests", {"version": "1", "stacks": {"a": {"name": "a"}}}, attempt)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 101 + "]" * 101, "NaN", '{"a": Infinity}', "9" * 5000, "", "\0"])
def test_json_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
