import json
from pathlib import Path

import pytest

from astro_xcom.hcp.token import find_token
from astro_xcom.refusal import Refused

HOST = "tfe.acme-data.com"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / ".terraform.d" / "credentials.tfrc.json"
    place.parent.mkdir()
    place.write_text(json.dumps({"credentials": {HOST: {"token": "saved"}, "app.terraform.io": {}}}))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TF_TOKEN_tfe_acme__data_com": "of-the-host", "TFE_TOKEN": "of-any"}, "of-the-host"),
        ({"TF_TOKEN_tfe.acme-data.com": "of-the-host"}, "of-the-host"),
        ({"TF_TOKEN_TFE_acme__data_com": "of-the-host"}, "of-the-host"),
        ({"TF_TOKEN_app_terraform_io": "of-another-host", "TFE_TOKEN": "of-any"}, "of-any"),
        ({"TF_TOKEN_app_terraform_io": "of-another-host"}, "saved"),
        ({"TFE_TOKEN": " "}, "saved"),
        ({"TFE_TOKEN": "with-newline\n"}, "with-newline"),
    ],
)
def test_the_most_specific_token_wins(environment: dict[str, str], expected: str, home: Path) -> None:
    assert find_token(HOST, environment, home) == expected


def test_without_a_token_every_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        Refused, match=r"set TF_TOKEN_tfe_acme__data_com or TFE_TOKEN, or run terraform login tfe\.acme"
    ):
        find_token(HOST, {}, tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"credentials": null}', '{"credentials": {"tfe.acme-data.com": 1}}']
)
def test_a_broken_file_of_credentials_holds_no_token(content: str, home: Path) -> None:
    (home / ".terraform.d" / "credentials.tfrc.json").write_text(content)
    with pytest.raises(Refused, match="there is no API token"):
        find_token(HOST, {}, home)


@pytest.mark.parametrize("token", ["secret value", "secret\nvalue", "sécret", '"secret"\t'])
def test_what_cannot_be_a_token_is_refused_unseen(token: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="TFE_TOKEN: is not an API token") as refused:
        find_token(HOST, {"TFE_TOKEN": f"x{token}x"}, tmp_path)
    assert "cret" not in str(refused.value)
