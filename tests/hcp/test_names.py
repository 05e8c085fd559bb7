from collections.abc import Callable

import pytest

from astro_xcom.errors import SettingError
from astro_xcom.rules import hcp as rules


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (rules.organization, "acme"),
        (rules.organization, "Acme_Data-2"),
        (rules.workspace, "w" * 90),
        (rules.workspace, "_A-1"),
        (rules.project, "abc"),
        (rules.project, "Default Project"),
        (rules.project, "p" * 40),
        (rules.hostname, "app.terraform.io"),
        (rules.hostname, "tfe.acme.internal:8443"),
        (rules.hostname, "localhost"),
    ],
)
def test_good_names(rule: Callable[[str], str], value: str) -> None:
    assert rule(value) == value


@pytest.mark.parametrize(
    ("rule", "value", "hint"),
    [
        (rules.organization, "acme data", None),
        (rules.organization, "", None),
        (rules.workspace, "team/xcom", '"team-xcom"'),
        (rules.workspace, "w" * 91, f'"{"w" * 90}"'),
        (rules.workspace, "", '"astro-xcom"'),
        (rules.project, "ab", '"Default Project"'),
        (rules.project, "p" * 41, f'"{"p" * 40}"'),
        (rules.project, " data ", '"data"'),
        (rules.project, "a/b/c", '"a-b-c"'),
        (rules.hostname, "https://tfe.acme.com/app", '"tfe.acme.com"'),
        (rules.hostname, "TFE.acme.com", '"tfe.acme.com"'),
        (rules.hostname, "user@tfe", None),
        (rules.hostname, "tfe.acme.com\n", '"tfe.acme.com"'),
    ],
)
def test_bad_names_and_what_to_try(rule: Callable[[str], str], value: str, hint: str | None) -> None:
    with pytest.raises(SettingError) as refused:
        rule(value)
    assert refused.value.hint == hint
