"""make deploy: says what the coming apply of a synthesized stack does, then lets cdktf plan and apply it.

What loses something for good (STOP) is applied only when its code is allowed. Other options go to cdktf deploy.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from astro_xcom.cli.plan import EXIT


def main() -> int:
    """Exit code of the first command that failed, 5 for a STOP, else that of cdktf."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--allow", metavar="CODE", action="append", default=[])
    options, of_cdktf = parser.parse_known_args()
    folder = Path("cdktf.out", "stacks", options.stack)
    if not folder.is_dir():
        there = ", ".join(sorted(found.name for found in folder.parent.glob("*")))
        sys.exit(f"{options.stack}: is no deployment of deployments.yaml: {there}")
    with tempfile.TemporaryDirectory() as place:
        plan = planned(folder, Path(place) / "plan")
    allowed = [f"--allow={code}" for code in options.allow]
    said = run("astro-xcom", "check", options.stack, "--plan", "-", *allowed, input=plan).returncode
    if said == EXIT["STOP"]:
        sys.stderr.write("Nothing was applied. To apply it all the same: ALLOW=CODE, with each code that STOPs\n")
    if said == EXIT["STOP"] or said not in EXIT.values():
        return said
    return run("cdktf", "deploy", "--skip-synth", options.stack, *of_cdktf).returncode


def planned(folder: Path, file: Path) -> bytes:
    """The plan of a stack as JSON. Exits with Terraform's own message and code."""
    terraform = [os.environ.get("TERRAFORM_BINARY_NAME") or "terraform", f"-chdir={folder}"]
    shown = b""
    for step in (["init", "-input=false"], ["plan", "-input=false", f"-out={file}"], ["show", "-json", str(file)]):
        done = run(*terraform, *step, stdout=subprocess.PIPE)
        shown = done.stdout
        if done.returncode:
            sys.stderr.write(shown.decode())
            sys.exit(done.returncode)
    return shown


def run(*command: str, input: bytes | None = None, stdout: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """A command of this project, or Terraform's."""
    return subprocess.run(command, input=input, stdout=stdout, check=False)  # noqa: S603 - those above


if __name__ == "__main__":
    sys.exit(main())
