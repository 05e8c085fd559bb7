"""Checksums of the providers, for the platforms that run the stack."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from astro_xcom.errors import SettingError
from astro_xcom.files import reason
from astro_xcom.hcp.stack_files import JSON, LOCK, StackFiles, body, wanted_providers
from astro_xcom.json_files import parse_json, shaped

HCP_PLATFORM = "linux_amd64"
LONGEST_SECONDS = 600
LONGEST_PART = 200
OPENTOFU = "registry.opentofu.org"
"""What OpenTofu writes for a provider without a host. Terraform takes such a line for another provider's."""
PROVIDER = re.compile(r'^provider "([^"]*)/([^/"]+/[^/"]+)" \{$(.*?)^\}$', re.MULTILINE | re.DOTALL)
CONSTRAINTS = re.compile(r'^ *constraints *= "([^"]*)"$', re.MULTILINE)


def fits(lock: bytes, files: StackFiles) -> bool:
    """Whether a lock file is about exactly the providers that the stack requires, for the tool that is in use."""
    locked = {name: CONSTRAINTS.search(block) for _, name, block in PROVIDER.findall(lock.decode(errors="replace"))}
    wanted = {name: _normal(version) for name, version in wanted_providers(body(files)).items()}
    same = {name: _normal(match[1]) if match else set() for name, match in locked.items()} == wanted
    return same and of_opentofu(lock) == ("tofu" in Path(_binary()).name)


def of_opentofu(lock: bytes) -> bool:
    """Whether OpenTofu wrote a lock file: its checksums are those of OpenTofu's registry."""
    return any(host == OPENTOFU for host, _, _ in PROVIDER.findall(lock.decode(errors="replace")))


def make_lock(files: StackFiles) -> bytes:
    """What `terraform providers lock` writes for HCP Terraform's platform and this one. Downloads the providers.

    Raises SettingError if there is no terraform, or it cannot reach the registry.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / JSON).write_bytes(files[JSON])
        with shaped("terraform version -json said something that cannot be read"):
            here = str(parse_json(_terraform(folder, "version", "-json"))["platform"])
        _terraform(folder, "providers", "lock", *(f"-platform={name}" for name in sorted({HCP_PLATFORM, here})))
        return (Path(folder) / LOCK).read_bytes()


def _normal(constraints: str) -> set[str]:
    """A version constraint as in a lock file: 1 is 1.0.0, but after ~> the length says how much is free."""
    found = set()
    for part in filter(None, (each.strip() for each in constraints.split(","))):
        operator, version = re.fullmatch(r"([^\d\s]*)\s*(.*)", part).groups()  # type: ignore[union-attr]
        missing = 0 if operator == "~>" else 2 - version.count(".")
        found.add(f"{operator.removeprefix('=')}{version}{'.0' * missing}")
    return found


def _binary() -> str:
    return os.environ.get("TERRAFORM_BINARY_NAME") or "terraform"


def _terraform(folder: str, *arguments: str) -> str:
    command = [_binary(), *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
    except FileNotFoundError:
        raise SettingError(f"there is no command {command[0]}") from None
    except OSError as error:
        raise SettingError(f"{command[0]}: cannot be run: {reason(error)}") from error
    except subprocess.TimeoutExpired:
        raise SettingError(f"{' '.join(command)} took more than {LONGEST_SECONDS} seconds") from None
    if done.returncode:
        said = re.sub(r"[\s│╷╵]+", " ", re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)).rpartition("Error: ")[2]
        raise SettingError(f"{' '.join(command)} failed: {_shortened(said.strip())}")
    return done.stdout


def _shortened(text: str) -> str:
    """A long text without its middle: Terraform says first what it could not do, and the reason last."""
    if len(text) <= 2 * LONGEST_PART:
        return text
    start, end = text[:LONGEST_PART], text[-LONGEST_PART:]
    return f"{start.rpartition(' ')[0] or start} ... {end.partition(' ')[2] or end}"
