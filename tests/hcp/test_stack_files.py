import json
from typing import Any

import pytest

from astro_xcom.hcp.stack_files import committed


def form(value: dict[str, Any]) -> Any:
    return json.loads(committed(json.dumps(value).encode()))


def test_notes_of_cdktf_are_left_out() -> None:
    note = {"metadata": {"path": "a/b", "uniqueId": "b"}}
    body = {
        "//": {"metadata": {"version": "0.21.0"}},
        "resource": {"x_y": {"b": {"//": note, "name": "n"}}},
        "data": {"x_z": {"c": {"//": note}}},
        "module": {"m": {"//": note, "source": "./m"}},
    }
    assert form(body) == {
        "resource": {"x_y": {"b": {"name": "n"}}},
        "data": {"x_z": {"c": {}}},
        "module": {"m": {"source": "./m"}},
    }


def test_a_key_of_a_map_that_looks_like_a_note_stays() -> None:
    body = {"resource": {"x_y": {"b": {"tags": {"//": "kept"}}}}, "provider": {"x": [{"default_tags": {"//": "kept"}}]}}
    assert form(body) == body


@pytest.mark.parametrize(
    ("terraform", "left"),
    [
        ({"backend": {"local": {"path": "x"}}}, {}),
        ({"backend": {"local": {"path": "x"}}, "required_version": ">= 1.10"}, {"required_version": ">= 1.10"}),
        ({"backend": {"s3": {"bucket": "b"}}}, {"backend": {"s3": {"bucket": "b"}}}),
        ({"backend": {"remote": {"organization": "o"}}}, {"backend": {"remote": {"organization": "o"}}}),
        ({"cloud": {"organization": "o"}}, {"cloud": {"organization": "o"}}),
        ({}, {}),
    ],
)
def test_only_a_local_backend_is_left_out(terraform: dict[str, Any], left: dict[str, Any]) -> None:
    assert form({"terraform": terraform}) == {"terraform": left}


def test_the_form_is_stable() -> None:
    text = committed('{"b": "é ${x}", "a": [2, 1]}'.encode())
    assert text.decode() == '{\n  "a": [\n    2,\n    1\n  ],\n  "b": "é ${x}"\n}\n'
    assert committed(text) == text
