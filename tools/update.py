"""What is locked, and how it is renewed.

python tools/update.py           renew every lock but each Pipfile.lock and package-lock.json, which `make lock` renews
python tools/update.py changes   say how every lock differs from the last commit
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
AZURITE = Path("tests/e2e/azurite/package-lock.json")
OF_MAKE_LOCK = [
    Path(folder, file) for folder in ("", "engines/cdktn") for file in ("Pipfile.lock", "package-lock.json")
]

Versions = dict[str, set[str]]


@dataclass(frozen=True)
class Lock:
    """A requirements file with every package that some others ask for, in one version and with its hashes."""

    file: str
    sources: tuple[str, ...]
    python: str = "3.10"
    """The oldest Python that it is for."""
    options: tuple[str, ...] = ()

    def renew(self) -> None:
        """Resolve it anew, for every Python and machine, without a word about this one."""
        plain = ("--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links")
        how = ("--universal", "--generate-hashes", "--upgrade", "--python-version", self.python, *plain, *self.options)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *how, *self.sources, "-o", self.file]
        subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - the list above


LOCKS = [
    # Airflow's providers need Python 3.11.
    *(
        Lock(f"tests/e2e/locks/agent-{cloud}.txt", ("tests/e2e/airflow.in", f"agent/requirements-{cloud}.txt"), "3.11")
        for cloud in ("aws", "azure", "gcp")
    ),
    Lock("tests/e2e/locks/emulators.txt", ("tests/e2e/emulators.in",)),
    Lock("tests/posture/requirements.txt", ("tests/posture/requirements.in",)),
    # One version for every Python, so that the pages look the same.
    Lock("docs/requirements.txt", ("docs/requirements.in",), options=("--fork-strategy", "fewest")),
    Lock("tools/build.txt", ("tools/build.in",)),
    Lock("tools/pipenv.txt", ("tools/pipenv.in",)),
    Lock("tools/sbom.txt", ("tools/sbom.in",)),
]


def renew_azurite() -> None:
    """Resolve its package-lock.json anew, without the address of any registry."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PROJECT / AZURITE.with_name("package.json"), folder)
        quiet = ["--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
        subprocess.run(["npm", "install", "--package-lock-only", *quiet], cwd=folder, check=True)  # noqa: S603, S607
        lock = json.loads(Path(folder, AZURITE.name).read_text())
    for package in lock["packages"].values():
        package.pop("resolved", None)
    (PROJECT / AZURITE).write_text(json.dumps(lock, indent=2) + "\n")


def versions(file: Path, text: str) -> Versions:
    """Package -> its versions in a lock: more than one where Pythons or other packages need different ones."""
    found: Versions = {}
    if file.suffix == ".txt":
        pairs = re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", text, re.MULTILINE)
    elif file.name == "Pipfile.lock":
        lock = json.loads(text)
        both = [*lock["default"].items(), *lock["develop"].items()]
        pairs = [(name, package["version"].lstrip("=")) for name, package in both if "version" in package]
    else:
        packages = json.loads(text)["packages"].items()
        pairs = [(path.rpartition("node_modules/")[2], it["version"]) for path, it in packages if "version" in it]
    for name, version in pairs:
        found.setdefault(name, set()).add(version)
    return found


def changes(old: Versions, new: Versions) -> list[str]:
    """A line for each package that has another version, is new or is gone."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{name} {_shown(old.get(name))} -> {_shown(new.get(name))}" for name in names]


def _shown(found: set[str] | None) -> str:
    return ", ".join(sorted(found)) if found else "none"


def report() -> str:
    """What changed in every lock since the last commit."""
    lines = []
    for file in [*(Path(lock.file) for lock in LOCKS), AZURITE, *OF_MAKE_LOCK]:
        git = ["git", "show", f"HEAD:{file.as_posix()}"]
        committed = subprocess.run(git, cwd=PROJECT, capture_output=True, text=True)  # noqa: S603 - fails for a new file
        old = versions(file, committed.stdout) if committed.returncode == 0 else {}
        changed = changes(old, versions(file, (PROJECT / file).read_text()))
        lines += [f"{file.as_posix()}:", *(f"  {line}" for line in changed)] if changed else []
    return "\n".join(lines) or "nothing changed"


if __name__ == "__main__":
    if sys.argv[1:] == ["changes"]:
        print(report())  # noqa: T201 - what it is for
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        for lock in LOCKS:
            lock.renew()
        renew_azurite()
