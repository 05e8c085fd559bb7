import re

from astro_xcom.posture import ACCEPTED
from support import PROJECT

PAGE = (PROJECT / "docs" / "posture.md").read_text(encoding="utf-8")
REQUIREMENTS = (PROJECT / "tests" / "posture" / "requirements.txt").read_text(encoding="utf-8").split()


def test_the_page_lists_exactly_what_is_accepted() -> None:
    rows = [
        tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        for line in PAGE.splitlines()
        if re.match(r"\| `[A-Z]", line)
    ]
    assert rows == [(each.id, ", ".join(each.clouds), each.reason, each.setting or "") for each in ACCEPTED]


def test_the_page_names_the_versions_that_are_run() -> None:
    assert len(REQUIREMENTS) == 3
    for requirement in REQUIREMENTS:
        name, version = requirement.split("==")
        assert re.search(rf"{re.escape(name)} {re.escape(version)}\b", PAGE), requirement
