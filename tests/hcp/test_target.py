import pytest

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.hcp.target import Target, target
from support import Body

CLOUD: Body = {
    "terraform": {
        "cloud": {"hostname": "tfe.acme.com", "organization": "acme", "workspaces": {"name": "w", "project": "p p"}}
    }
}


def test_a_cloud_block_says_it_all() -> None:
    expected = Target(organization="acme", workspace="w", project="p p", hostname="tfe.acme.com")
    assert target("a", CLOUD) == expected
    assert target("a", CLOUD, organization="acme", workspace="w") == expected
    assert expected.url == "https://tfe.acme.com/app/acme/workspaces/w"


def test_a_remote_backend_too() -> None:
    block = {"organization": "acme", "workspaces": {"name": "w"}}
    assert target("a", {"terraform": {"backend": {"remote": block}}}) == Target(organization="acme", workspace="w")


def test_options_fill_what_the_stack_leaves_open() -> None:
    assert target("a", {}, organization="acme") == Target(organization="acme", workspace="a")
    block = {"organization": "acme", "workspaces": {"name": "w"}}
    assert target("a", {"terraform": {"cloud": block}}, project="Data").project == "Data"


@pytest.mark.parametrize("backend", ["s3", "azurerm", "gcs"])
def test_a_stack_with_its_state_elsewhere_is_refused(backend: str) -> None:
    with pytest.raises(SettingError, match=f"a: keeps its state in {backend}; .* would create everything again"):
        target("a", {"terraform": {"backend": {backend: {}}}}, organization="acme")


def test_every_bad_option_is_named() -> None:
    with pytest.raises(SettingErrors) as refused:
        target("a", {}, workspace="a b", project="x", hostname="https://tfe.acme.com")
    assert [line.split(":")[1].strip() for line in refused.value.lines] == [
        "--organization",
        "--project",
        "--workspace",
        "--hostname",
    ]
    assert 'try "a-b"' in str(refused.value)
    assert 'try "tfe.acme.com"' in str(refused.value)
