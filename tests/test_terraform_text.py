"""Text through Terraform's templates, with a model of how Terraform reads them that real Terraform confirms."""

import itertools
import json
import re
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from astro_xcom.terraform_text import PATTERN, escape_templates, without_normalization
from support import TERRAFORM

PIECES = ["$", "{", "%", "}", "${", "%{", "TfToken[", "${TfToken[TOKEN.1]}", "#{TfToken[TOKEN.2]}", "#", '"', "\\", "a"]
PIECES += ["&{TfToken[X]}", "\ufeff", "e\u0301", "\n"]
TEMPLATE = re.compile(r'(?P<escaped>[$%])(?P=escaped)\{|\$\{(?P<quoted>"[^"]*")\}|(?P<bare>[$%]\{)')

TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)
NORMAL = TEXTS.map(lambda text: unicodedata.normalize("NFC", text))
PROPERTY = settings(max_examples=120, deadline=None, derandomize=True)


def as_terraform_reads(text: str) -> str:
    """Terraform's value of a JSON string: templates filled in, no byte order mark in front, in Unicode's NFC."""

    def value(match: re.Match[str]) -> str:
        assert match["bare"] is None, f"Terraform would evaluate {match.string!r} at {match.start()}"
        return match["escaped"] + "{" if match["escaped"] else str(json.loads(match["quoted"]))

    return unicodedata.normalize("NFC", TEMPLATE.sub(value, text.removeprefix("\ufeff")))


def texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *itertools.chain.from_iterable(map(texts_in, value.values()))]
    if isinstance(value, list):
        return [*itertools.chain.from_iterable(map(texts_in, value))]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "text", ["", "plain", "$", "%", "$HOME", "100%", "$(VAR)", "{{ .Values.x }}", '"\\', "TfToken"]
)
def test_text_without_templates_stays_as_it_is(text: str) -> None:
    assert escape_templates(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("${HOME}", "$${HOME}"),
        ("%{if x}", "%%{if x}"),
        ("a ${b} %{c}", "a $${b} %%{c}"),
        ("$${HOME}", "$$${HOME}"),
        ("${", "$${"),
        ("%%{", "%%%{"),
    ],
)
def test_the_start_of_a_template_is_doubled(text: str, escaped: str) -> None:
    assert escape_templates(text) == escaped


@PROPERTY
@given(text=NORMAL)
@example(text="$${TfToken[TOKEN.1]}")
@example(text="$#{TfToken[TOKEN.1]}")
@example(text="%${TfToken[TOKEN.1]}")
@example(text="\ufeff${")
def test_terraform_reads_the_text_that_was_written(text: str) -> None:
    assert as_terraform_reads(escape_templates(text)) == text


@PROPERTY
@given(text=TEXTS)
def test_cdktf_sees_no_token_of_its_own(text: str) -> None:
    assert not re.search(r"[$#&]\{TfToken\[", escape_templates(text))


@pytest.mark.parametrize("value", [None, True, False, 0, 1.5, -1])
def test_what_is_not_text_stays_as_it_is(value: Any) -> None:
    assert escape_templates(value) is value


def test_text_is_escaped_at_every_depth_keys_included() -> None:
    value = {"${k}": [{"a": ("${x}", 1)}, ["%{y}", None]], "b": "${z}"}
    assert escape_templates(value) == {"$${k}": [{"a": ["$${x}", 1]}, ["%%{y}", None]], "b": "$${z}"}


def test_the_value_given_is_not_changed() -> None:
    value = {"a": ["${x}"]}
    escape_templates(value)
    assert value == {"a": ["${x}"]}


# ---- Unicode that Terraform would normalize


@pytest.mark.parametrize("text", ["e\u0301", "\u212b", "a\u0323\u0307", "\uf900", "\ue000", "\ue00000000041"])
def test_text_that_terraform_would_change_is_written_as_code_points(text: str) -> None:
    changed, any_was = without_normalization([text])
    assert any_was
    assert as_terraform_reads(changed[0]) == changed[0] != text


@pytest.mark.parametrize("text", ["", "plain", "\u00e9", "日本語", "😀", "${x}"])
def test_text_in_normal_form_is_left_alone(text: str) -> None:
    assert without_normalization({text: [text, 1, None]}) == ({text: [text, 1, None]}, False)


def restored(value: Any) -> Any:
    document = json.dumps(value, ensure_ascii=False)
    return yaml.safe_load(re.sub(PATTERN.strip("/"), lambda match: f"\\U{match[1]}", document))


CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])
ODD_TEXT = st.lists(st.sampled_from(["e\u0301", "\ue000", "41", "\\", '"']) | CHARACTERS, max_size=6).map("".join)


@PROPERTY
@given(value=st.lists(ODD_TEXT, max_size=4) | st.dictionaries(ODD_TEXT, ODD_TEXT, max_size=3))
def test_code_points_in_the_encoded_document_give_the_text_back(value: Any) -> None:
    changed, _ = without_normalization(value)
    assert [as_terraform_reads(text) for text in texts_in(escape_templates(changed))] == texts_in(changed)
    assert restored(changed) == value


# ---- the model, held against the real thing


@pytest.mark.terraform
def test_real_terraform_reads_as_the_model_says(shared: Path, tmp_path: Path) -> None:
    texts = sorted({"".join(pieces) for length in (1, 2, 3) for pieces in itertools.product(PIECES, repeat=length)})
    written = {f"t{number}": escape_templates(text) for number, text in enumerate(texts)}
    (tmp_path / "main.tf.json").write_text(json.dumps({"output": {"texts": {"value": written}}}))

    def terraform(*arguments: str) -> str:
        done = subprocess.run([TERRAFORM, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    terraform("init")
    terraform("apply", "-auto-approve")
    read = json.loads(terraform("output", "-json", "texts"))
    assert read == {name: as_terraform_reads(text) for name, text in written.items()}
