import json
from pathlib import Path

import pytest

from astro_xcom.errors import SettingError
from astro_xcom.hcp.token import find_token, own_home

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
    assert find_token(HOST, {**environment, "TFE_ADDRESS": f"https://{HOST}"}, home) == expected


@pytest.mark.parametrize(
    ("hostname", "address", "option"),
    [
        ("app.terraform.io", None, None),
        ("app.terraform.io", f"https://{HOST}", None),
        (HOST, f"https://{HOST}", None),
        (HOST, f"https://{HOST.upper()}/", None),
        (HOST, f"https://{HOST}:443", None),
        (f"{HOST}:8443", f"https://{HOST}:8443", None),
        (HOST, None, HOST),
        (HOST, "https://another.example", HOST),
    ],
)
def test_tfe_token_goes_to_a_host_that_the_caller_names(
    hostname: str, address: str | None, option: str | None, tmp_path: Path
) -> None:
    environment = {"TFE_TOKEN": "of-any", **({"TFE_ADDRESS": address} if address else {})}
    assert find_token(hostname, environment, tmp_path, option=option) == "of-any"


@pytest.mark.parametrize(
    ("hostname", "address"),
    [
        (HOST, None),
        (HOST, ""),
        (HOST, "https://app.terraform.io"),
        (HOST, f"https://another.example/{HOST}"),
        (HOST, f"https://{HOST}@another.example"),
        (HOST, f"https://user@{HOST}"),
        (HOST, f"https://{HOST}.another.example"),
        (HOST, f"https://{HOST}/path"),
        (HOST, f"http://{HOST}"),
        (HOST, HOST),
        (HOST, f"https://{HOST}:no"),
        (f"{HOST}:8443", f"https://{HOST}"),
        ("app.terraform.io.another.example", None),
        ("app.terraform.io:8443", None),
        ("app.eu.terraform.io", None),
        ("localhost:8443", None),
    ],
)
def test_tfe_token_goes_to_no_host_that_only_a_file_names(hostname: str, address: str | None, home: Path) -> None:
    environment = {"TFE_TOKEN": "of-any", **({"TFE_ADDRESS": address} if address is not None else {})}
    (home / ".terraform.d" / "credentials.tfrc.json").unlink()
    with pytest.raises(SettingError) as refused:
        find_token(hostname, environment, home)
    assert f"TFE_TOKEN is not sent to {hostname}" in str(refused.value)
    variable = f"TF_TOKEN_{hostname.replace('.', '_')}".replace("-", "__")
    assert f"set {variable}, run terraform login {hostname}" in str(refused.value)


def test_what_is_bound_to_the_host_needs_no_naming(home: Path) -> None:
    assert find_token(HOST, {"TFE_TOKEN": "of-any"}, home) == "saved"
    assert find_token(HOST, {"TFE_TOKEN": "of-any", "TF_TOKEN_tfe_acme__data_com": "bound"}, home) == "bound"


def test_without_a_token_every_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"set TF_TOKEN_tfe_acme__data_com or TFE_TOKEN, or run terraform login tfe\.acme"
    ):
        find_token(HOST, {}, tmp_path, option=HOST)
    with pytest.raises(SettingError, match=r"set TF_TOKEN_tfe_acme__data_com, or run terraform login tfe\.acme"):
        find_token(HOST, {}, tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"credentials": null}', '{"credentials": {"tfe.acme-data.com": 1}}']
)
def test_a_broken_file_of_credentials_holds_no_token(content: str, home: Path) -> None:
    (home / ".terraform.d" / "credentials.tfrc.json").write_text(content)
    with pytest.raises(SettingError, match="there is no API token"):
        find_token(HOST, {}, home)


@pytest.mark.parametrize("token", ["secret value", "secret\nvalue", "sécret", '"secret"\t'])
def test_what_cannot_be_a_token_is_refused_unseen(token: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="TFE_TOKEN: is not an API token") as refused:
        find_token(HOST, {"TFE_TOKEN": f"x{token}x"}, tmp_path, option=HOST)
    assert "cret" not in str(refused.value)


def test_nobody_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert own_home() is None
    assert find_token("app.terraform.io", {"TFE_TOKEN": "a-token"}, own_home()) == "a-token"
    with pytest.raises(SettingError, match="there is no API token"):
        find_token("app.terraform.io", {}, own_home())
