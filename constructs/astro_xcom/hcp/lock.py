"""Checksums of the providers, for the platforms that run the stack."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from astro_xcom.files import reason
from astro_xcom.hcp.stack_files import JSON, LOCK, StackFiles, body, wanted_providers
from astro_xcom.json_files import parse_json, shaped
from astro_xcom.refusal import Refused

HCP_PLATFORM = "linux_amd64"
LONGEST_SECONDS = 600
LONGEST_PART = 200
PROVIDER = re.compile(r'^provider "[^"]*/([^/"]+/[^/"]+)" \{$(.*?)^\}$', re.MULTILINE | re.DOTALL)
CONSTRAINTS = re.compile(r'^ *constraints *= "([^"]*)"$', re.MULTILINE)


def fits(lock: bytes, files: StackFiles) -> bool:
    """Whether a lock file is about exactly the providers that the stack requires."""
    locked = {name: CONSTRAINTS.search(block) for name, block in PROVIDER.findall(lock.decode(errors="replace"))}
    return {name: match[1] if match else "" for name, match in locked.items()} == wanted_providers(body(files))


def make_lock(files: StackFiles) -> bytes:
    """What `terraform providers lock` writes for HCP Terraform's platform and this one. Downloads the providers.

    Raises Refused if there is no terraform, or it cannot reach the registry.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / JSON).write_bytes(files[JSON])
        with shaped("terraform version -json said something that cannot be read"):
            here = str(parse_json(_terraform(folder, "version", "-json"))["platform"])
        _terraform(folder, "providers", "lock", *(f"-platform={name}" for name in sorted({HCP_PLATFORM, here})))
        return (Path(folder) / LOCK).read_bytes()


def _terraform(folder: str, *arguments: str) -> str:
    command = [os.environ.get("TERRAFORM_BINARY_NAME", "terraform"), *arguments]
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
        raise Refused(f"there is no command {command[0]}") from None
    except OSError as error:
        raise Refused(f"{command[0]}: cannot be run: {reason(error)}") from error
    except subprocess.TimeoutExpired:
        raise Refused(f"{' '.join(command)} took more than {LONGEST_SECONDS} seconds") from None
    if done.returncode:
        said = re.sub(r"[\s│╷╵]+", " ", re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)).rpartition("Error: ")[2]
        raise Refused(f"{' '.join(command)} failed: {_shortened(said.strip())}")
    return done.stdout


def _shortened(text: str) -> str:
    """A long text without its middle: Terraform says first what it could not do, and the reason last."""
    if len(text) <= 2 * LONGEST_PART:
        return text
    start, end = text[:LONGEST_PART], text[-LONGEST_PART:]
    return f"{start.rpartition(' ')[0] or start} ... {end.partition(' ')[2] or end}"
