"""What make lock commits: python tools/locked.py [OTHER], beside the Pipfile.lock and package-lock.json it has made.

Without the address of any registry. What both engines install is in one version, that of OTHER.
"""

import json
import sys
from pathlib import Path

DIFFERENT = {"constructs"}
"""CDK Terrain asks for an older one."""


def main(other: Path | None) -> None:
    """Write both anew."""
    place = Path("Pipfile.lock")
    lock = json.loads(place.read_text())
    lock["_meta"]["sources"] = []
    others = json.loads(other.read_text()) if other else lock
    for part in ("default", "develop"):
        for name in lock[part].keys() & others[part].keys() - DIFFERENT:
            lock[part][name] = others[part][name]
    place.write_text(json.dumps(lock, indent=4) + "\n")

    place = Path("package-lock.json")
    lock = json.loads(place.read_text())
    for package in lock["packages"].values():
        package.pop("resolved", None)
    place.write_text(json.dumps(lock, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
