"""make deploy, make destroy: say what a synthesized stack comes to, then let cdktf plan it again and carry it out.

What loses something for good (STOP) is applied only when its code is allowed. Who destroys wants to lose what there is,
but not to leave agents behind that Terraform did not find. Other options go to cdktf.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from astro_xcom.cli.plan import EXIT
from astro_xcom.hcp.stack_files import stack_names

LEFT_BEHIND = "release-not-found"


def main() -> int:
    """Exit code of the first command that failed, 5 for a STOP, else that of cdktf."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--destroy", action="store_true")
    parser.add_argument("stack")
    parser.add_argument("--allow", metavar="CODE", action="append", default=[])
    options, of_cdktf = parser.parse_known_args()
    folder = Path("cdktf.out", "stacks", options.stack)
    there = stack_names(folder.parent.parent)
    if options.stack not in there:
        sys.exit(f"{options.stack}: is no deployment of deployments.yaml: {', '.join(there)}")
    with tempfile.TemporaryDirectory() as place:
        plan = planned(folder, Path(place) / "plan", *(["-destroy"] if options.destroy else []))
    check = ("astro-xcom", "check", options.stack, "--plan", "-")
    if options.destroy:
        told = run(*check, "--json", input=plan, stdout=subprocess.PIPE).stdout
        stops = {each["code"] for each in json.loads(told or "{}").get("effects", []) if each["kind"] == "STOP"}
        options.allow += sorted(stops - {LEFT_BEHIND, *options.allow})
    said = run(*check, *(f"--allow={code}" for code in options.allow), input=plan).returncode
    if said == EXIT["STOP"]:
        sys.stderr.write("Nothing was changed. To go on all the same: ALLOW=CODE, with each code that STOPs\n")
    if said == EXIT["STOP"] or said not in EXIT.values():
        return said
    command = "destroy" if options.destroy else "deploy"
    return run(os.environ.get("CDK") or "cdktf", command, "--skip-synth", options.stack, *of_cdktf).returncode


def planned(folder: Path, file: Path, *options: str) -> bytes:
    """The plan of a stack as JSON. Exits with Terraform's own message and code."""
    terraform = [os.environ.get("TERRAFORM_BINARY_NAME") or "terraform", f"-chdir={folder}"]
    shown = b""
    plan = ["plan", "-input=false", f"-out={file}", *options]
    for step in (["init", "-input=false"], plan, ["show", "-json", str(file)]):
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
