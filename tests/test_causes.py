"""The table of causes: what clients really say -> the one cause that is named."""

import pytest
import yaml

from astro_xcom.probe.in_pod.xcom_causes import CAUSES, IDENTITY, MARKS, cause, named
from support import PROJECT

SAID = [
    (scheme, text, name)
    for scheme, causes in yaml.safe_load((PROJECT / "tests" / "causes.yaml").read_text()).items()
    for name, texts in causes.items()
    for text in texts
]


@pytest.mark.parametrize(("scheme", "text", "expected"), SAID)
def test_an_error_has_its_cause(scheme: str, text: str, expected: str) -> None:
    assert named(text, scheme) == CAUSES[expected]
    assert cause(text, scheme).startswith(CAUSES[expected].says.format(mark=MARKS[scheme]))


def test_every_cause_that_an_error_tells_has_an_example() -> None:
    assert {name for name, each in CAUSES.items() if each.marks} == {name for _, _, name in SAID}


def raised(inner: Exception, outer: Exception) -> Exception:
    """What a library raises while it handles another error."""
    outer.__context__ = inner
    return outer


def test_what_caused_an_error_is_looked_at_only_for_the_network() -> None:
    hidden = OSError("Temporary failure in name resolution")
    assert named(raised(hidden, RuntimeError("Could not connect to the endpoint URL")), "s3") == CAUSES["dns"]
    optional = ImportError("No module named 'colorama'")
    assert named(raised(optional, PermissionError("Forbidden")), "s3") == CAUSES["permission"]


def test_what_nobody_knows_is_told_as_it_is() -> None:
    assert named("RuntimeError: odd", "s3") is None
    assert cause(RuntimeError("odd"), "s3") == "RuntimeError: odd"


def test_each_way_to_an_identity_is_a_list_of_variables() -> None:
    ways = [way for each in IDENTITY.values() for way in each]
    assert {name.partition("_")[0] for way in ways for name in way} == {"AWS", "AZURE"}


def test_where_grants_may_be_direct_nobody_looks_for_an_annotation() -> None:
    of_google = [text for scheme, text, name in SAID if scheme == "gs" and name in ("pod itself", "no metadata")]
    assert len(of_google) == 5
    assert not [text for text in of_google if "annotation" in cause(text, "gs")]
