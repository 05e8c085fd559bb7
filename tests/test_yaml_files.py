"""YAML as Helm reads it, held against real Helm; what Helm would change or lose is refused with its line."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.yaml_files import parse, read_mapping
from support import CHART

# A plain scalar -> what Helm makes of it. The numbers are Helm's own (64-bit floats); 1 and 1.0 are the same to it.
SCALARS: dict[str, Any] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **{text: text for text in ["yEs", "tRUE", "oN", "nO", "oFF", "t", "F", "T", "f"]},
    **dict.fromkeys(["~", "null", "Null", "NULL", ""], None),
    **{text: text for text in ["nULL", "nil", "None", "none", "undefined", "void"]},
    "0": 0, "1": 1, "-1": -1, "+1": 1, "-0": 0, "+0": 0, "00": 0, "12345678901": 12345678901,
    "010": 8, "-010": -8, "+010": 8, "0777": 511, "08": 8, "09": 9, "018": 18, "0o17": 15, "0O17": 15, "-0o17": -15,
    "0x1F": 31, "0X1f": 31, "-0x1F": -31, "+0x1F": 31, "0xe+1": "0xe+1", "0b11": 3, "0B11": 3, "-0b11": -3,
    "0o8": "0o8", "0xG": "0xG", "0b2": "0b2", "0x": "0x", "0o": "0o", "0b": "0b",
    "_1": "_1", "_": "_", "1,000": "1,000", "1_000x": "1_000x", "a_1": "a_1", "1_a": "1_a", "1-1_0": "1-1_0",
    "1.5": 1.5, "1.0": 1, "1.": 1, "-1.": -1, "+1.": 1, ".5": 0.5, "-.5": -0.5, "+.5": 0.5, "0.": 0, ".0": 0,
    "00.5": 0.5, "01.5": 1.5, "08.5": 8.5, ".": ".", "..": "..", "-.": "-.", "+.": "+.", "1..": "1..",
    "1.2.3": "1.2.3", "2.3.3": "2.3.3",
    "1e3": 1000, "1E3": 1000, "1e+3": 1000, "1e-3": 0.001, "1.e3": 1000, ".5e3": 500, "-1e3": -1000, "01e3": 1000,
    "1.5e3": 1500, "1e22": 1e22, "5e-324": 5e-324, "1e-400": 0, "0.1": 0.1,
    "1e": "1e", "1e+": "1e+", "e3": "e3", ".e1": ".e1", "1e3s": "1e3s", "1p4": "1p4", "0x1p4": "0x1p4",
    "9007199254740992": 2**53, "-9007199254740992": -(2**53), "0x1FFFFFFFFFFFFF": 2**53 - 1,
    "--1": "--1", "++1": "++1", "+-1": "+-1", "-": None, "+": "+", "1-2": "1-2", "1%": "1%", "$1": "$1",
    "12:30": "12:30", "12:30:45": "12:30:45", "190:20:30.15": "190:20:30.15", "-1:30": "-1:30", "1:2": "1:2",
    "2024-01-01": "2024-01-01", "2024-1-1": "2024-1-1", "2024-01-01T00:00:00Z": "2024-01-01T00:00:00Z",
    "2001-12-14t21:59:43.10-05:00": "2001-12-14t21:59:43.10-05:00", "20240101": 20240101,
    "inf": "inf", "Infinity": "Infinity", "nan": "nan", "NaN": "NaN", ".iNF": ".iNF", ".nAn": ".nAn", "+.nan": "+.nan",
    '"1"': "1", "'1'": "1", '"y"': "y", "'~'": "~", "''": "", '""': "", '"1e3"': "1e3", "'it''s'": "it's",
    '"a\\tb"': "a\tb", '"\\x41\\u00e9\\U0001F600"': "A\u00e9\U0001f600", '"<<"': "<<", "=": "=",
    "a b": "a b", "a#b": "a#b", "a #b": "a", "a:b": "a:b", ":a": ":a", "?a": "?a", "-a": "-a", "a,b": "a,b",
    "http://x/y?z#w": "http://x/y?z#w", "é日本😀": "é日本😀", "x\u00a0": "x\u00a0", "\u0661": "\u0661",
    "[]": [], "{}": {}, "[y, 1e3]": [True, 1000], "{a: y}": {"a": True}, "{<<: {a: 1}, b: 2}": {"a": 1, "b": 2},
    "|\n  a\n  b": "a\nb\n", "|-\n  a": "a", ">\n  a\n  b": "a b\n", '"a\n\n  b"': "a\nb", '"a\\\n  b"': "ab",
}  # fmt: skip
SCALARS["-"] = [None]  # a list in a list


def in_a_list(texts: list[str]) -> str:
    return "".join(f"- {text}\n" for text in texts)


def equal(one: Any, other: Any) -> bool:
    """The same to Helm: numbers by their value, everything else by type and value."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    numbers = [value for value in (one, other) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == 2:
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_a_scalar_is_what_it_is_to_helm(text: str, value: Any) -> None:
    (read,) = parse(in_a_list([text]))
    assert equal(read, value), read


# What Helm reads one way and a YAML 1.1 or 1.2 reader another. Helm's value, or a refusal: never a third value.
ODD: list[tuple[str, Any]] = [
    ("1_000", 1000),
    ("1__0", 10),
    ("1_", 1),
    ("-1_0", -10),
    ("0_1", 1),
    ("0x1_F", 31),
    ("0b1_0", 2),
    ("0o1_7", 15),
    ("1_0.5", 10.5),
    ("1_000e3", 10**6),
    ("+_1", 1),
    ("-_1", -1),
    ("-_0o17", -15),
    ("1e1_0", 10**10),
    ("1_0e1_0", 10**11),
    ("1e3_", 1000),
    (".5_5", 0.55),
    (".5_", ".5_"),
    ("._5", "._5"),
    (".7e9_", ".7e9_"),
    ("-._5", -0.5),
    ("-.5_", -0.5),
    ("0b+11", 3),
    ("0b-1", -1),
    ("!", ""),
    ("! 1", "1"),
    ("!foo 1", "1"),
    ("!foo x", "x"),
    ("!!str 1", "1"),
    ("!!str ~", "~"),
    ("!!str y", "y"),
    ("!!int 1", 1),
    ('!!int "1"', 1),
    ("!!int 010", 8),
    ("!!bool y", True),
    ("!!bool n", False),
    ('!!null ""', None),
    ("!!float 1", 1),
    ("!!float 010", 8),
    ('!!float "1.5"', 1.5),
    ("!!int 1.0", SettingError),
    ("!!int 1e3", SettingError),
    ('!!int ""', SettingError),
    ("!!int x", SettingError),
    ("!!bool x", SettingError),
    ('!!bool ""', SettingError),
    ("!!null x", SettingError),
    ("!!float x", SettingError),
    ("!!float ~", SettingError),
    ("!!timestamp x", SettingError),
    ("!!timestamp 2024-01-01", "2024-01-01"),
    ("!!binary aGk=", "hi"),
    ('!!binary "%"', SettingError),
    ("!!set {a, b}", {"a": None, "b": None}),
    ("!!omap [a: 1]", [{"a": 1}]),
    ("!!pairs [a: 1]", [{"a": 1}]),
    ("!!python/none x", "x"),
    ("<<", "<<"),
    ("{b: 2, <<: {b: 1}}", {"b": 1}),
    ("{b: 2, <<: [{c: 3}, {b: 1}]}", {"b": 1, "c": 3}),
    ("&x [*x]", SettingError),
    ("&x {a: *x}", SettingError),
    ('"\\ud83d\\ude00"', SettingError),
    ('"\\ud83d"', SettingError),
    ("1e309", "1e309"),
    ("0x_", "0x_"),
    ("18446744073709551616", 2.0**64),
    ("!!seq [1]", [1]),
    ("!!map {a: 1}", {"a": 1}),
    ("!x {a: 1}", {"a": 1}),
]


def read_or_refused(text: str) -> Any:
    try:
        (read,) = parse(in_a_list([text]))
    except SettingError:
        return SettingError
    return read


@pytest.mark.parametrize(("text", "helms"), ODD)
def test_an_odd_scalar_is_read_as_helm_reads_it_or_refused(text: str, helms: Any) -> None:
    read = read_or_refused(text)
    assert read is SettingError or (helms is not SettingError and equal(read, helms)), read


def test_a_document_nested_deeply_is_read_or_refused() -> None:
    depth = 1500
    assert read_or_refused("[" * depth + "]" * depth) is SettingError


# ---- whole documents


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", None),
        ("\n", None),
        ("# nothing\n", None),
        ("---\n", None),
        ("---\na: 1\n", {"a": 1}),
        ("a: 1\n...\n", {"a": 1}),
        ("%YAML 1.1\n---\na: y\n", {"a": True}),
        ("\ufeffa: 1\n", {"a": 1}),
        ("\ufeff# comment\na: 1\n", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("a: |\r\n  x\r\n  y\r\n", {"a": "x\ny\n"}),
        ("a: 'x\ty'\n", {"a": "x\ty"}),
        ("a: |\n  x\ty\n", {"a": "x\ty\n"}),
        ('{"a": 1, "b": [true, null]}', {"a": 1, "b": [True, None]}),
        ("'1': a\n\"y\": b\n", {"1": "a", "y": "b"}),
        ("é: 1\na b: 2\na:b: 3\n", {"é": 1, "a b": 2, "a:b": 3}),
        ("? a\n: b\n", {"a": "b"}),
        ("10.0.0.1: a\n2024-01-01: b\n1.2.3: c\n", {"10.0.0.1": "a", "2024-01-01": "b", "1.2.3": "c"}),
        ("12:30: a\n-f: b\n.d: c\n1_a: d\n", {"12:30": "a", "-f": "b", ".d": "c", "1_a": "d"}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: &x 1\nb: *x\n", {"a": 1, "b": 1}),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  b: 3\n", {"a": {"b": 1}, "c": {"b": 3}}),
        ("a: &x {b: 1}\nc: {<<: [*x, {b: 2, e: 1}]}\n", {"a": {"b": 1}, "c": {"b": 1, "e": 1}}),
        ("a: &x {<<: {q: 1}, r: 2}\nc: {<<: *x}\n", {"a": {"q": 1, "r": 2}, "c": {"q": 1, "r": 2}}),
        ("<<: {a: 1}\nb: 2\n", {"a": 1, "b": 2}),
        (
            "a: {b: {c: &x {<<: {q: 1}, q: 2}}}\nd: {<<: *x}\n",
            {"a": {"b": {"c": {"q": 2}}}, "d": {"q": 2}},
        ),
        (
            "base: &b {q: 1}\na: {b: {c: &x {<<: *b, q: 2}}}\nd: {<<: *x, z: 1}\n",
            {"base": {"q": 1}, "a": {"b": {"c": {"q": 2}}}, "d": {"q": 2, "z": 1}},
        ),
    ],
)
def test_a_document_is_what_it_is_to_helm(text: str, content: Any) -> None:
    assert equal(parse(text), content)


REFUSED_DOCUMENTS: list[tuple[str, int, str]] = [
    ("a: 1\nb: 2\na: 3\n", 3, r'the key "a" stands twice \(first in line 1\)'),
    ("a: {b: 1, b: 1}\n", 1, 'the key "b" stands twice'),
    ("x:\n  - a: 1\n    a: 2\n", 3, 'the key "a" stands twice'),
    ("a: 1\n'a': 2\n", 2, 'the key "a" stands twice'),
    ("a: &x {b: 1}\nc: {<<: *x, d: 1, d: 2}\n", 2, 'the key "d" stands twice'),
    ("a: 1\n2: b\n", 2, "a key must be text: quote it"),
    ("y: 1\n", 1, "a key must be text: quote it"),
    ("~: 1\n", 1, "a key must be text: quote it"),
    ("1.5: 1\n", 1, "a key must be text: quote it"),
    ("a:\n  b:\n    on: push\n", 3, "a key must be text: quote it"),
    ("[a]: 1\n", 1, "a key must be text: quote it"),
    ("{a: 1}: 1\n", 1, "a key must be text: quote it"),
    ("a: 1\nb: 9007199254740993\n", 2, "Helm cannot hold the number 9007199254740993 exactly: quote it"),
    ("b: -9007199254740993\n", 1, "Helm cannot hold the number -9007199254740993 exactly: quote it"),
    ("b: 0x20000000000001\n", 1, "Helm cannot hold the number 0x20000000000001 exactly: quote it"),
    ("b: 1e309\n", 1, "Helm cannot hold the number 1e309 exactly: quote it"),
    ("b: " + "9" * 5000 + "\n", 1, "Helm cannot hold the number 9+"),
    ("a: .nan\n", 1, "Helm has no number .nan: quote it"),
    ("a: 1\nb: [.NaN]\n", 2, "Helm has no number .NaN: quote it"),
    ("a: .inf\n", 1, "Helm has no number .inf: quote it"),
    ("a: -.Inf\n", 1, "Helm has no number -.Inf: quote it"),
    ("a: *b\n", 1, "there is none of that name"),
    ("<<: 1\n", 1, "mapping"),
    ("a: 1\n b: 2\n", 2, "is indented more than line 1"),
    ("a: x: y\n", 1, 'a second ":" in one value: quote the value'),
    ("a: @x\n", 1, "a value must not start with '@': quote it"),
    ("a: - 1\n", 1, "sequence entries are not allowed here"),
    # The line where the mistake is, not where the parser noticed:
    ("a: 1\nb\nc: 2\n", 2, "a line without key: value"),
    ("a:\n  - [1, 2\nb: 3\n", 2, "."),
    ("a: 'x\nb: 1\n", 1, "."),
    # Said in words of the file:
    ("\ta: 1\n", 1, "tab"),
    ("a:\n\tb: 1\n", 2, "tab"),
    ("a: b\t# comment\n", 1, "tab"),
    ("a: 1\n---\nb: 2\n", 2, "second document"),
    ("a: 1\n---\n", 2, "second document"),
    ("a: 1\n...\nb: 2\n", 3, "second document"),
    ("a: 1\nb: \x07\n", 2, "character"),
    ("a: 1\nb: 2\nc: \x00\n", 3, "character"),
    ("a: \x7f\n", 1, "character"),
]


FREQUENT_MISTAKES = {
    "a:\n  b: {c: 1 d: 2}\n": 'line 2: a "," or "}" is missing before column 13, in the mapping that starts '
    "in column 6",
    "a: ['b' 'c']\n": 'line 1: a "," or "]" is missing before column 9, in the list that starts in column 4',
    "a:\n  b: {c: 1\n  d: 2\n": 'line 2: the mapping that starts here is never closed, or a "," is missing in '
    "it (column 6)",
    "a:\n  b: {c: 1": 'line 2: the mapping that starts here is never closed, or a "," is missing in it (column 6)',
    "a:\n  b: {c: 1}}\n": 'line 2: a "}" too many (column 12)',
    'a: "b\nc: d\n': "line 1: the text quoted here is never closed (column 4)",
    'a: "b" c\n': "line 1: text after the closing quote: quote all of the value (column 8)",
    'a: "C:\\data"\n': r"line 1: a backslash in double quotes: write \\, or use single quotes (column 8)",
    "a:\n  cloud aws\n  b: 1\n": "line 2: a line without key: value",
    "a:\n  b: 1\n  cloud aws\n": "line 3: a line without key: value (column 3)",
    "a:\n  cloud:aws\n\n  b: 1\n": 'line 2: a space is missing after "cloud:"',
    "a:\n  b: 1\n  cloud:aws\n": 'line 3: a space is missing after "cloud:" (column 3)',
    "a: this: that\n": 'line 1: a second ":" in one value: quote the value (column 8)',
    "a:\n  b: 1\n    c: 2\n": "line 3: is indented more than line 2, which has its value already: align them",
    "a:\n    b: 1\n   c: 2\n": "line 3: is indented by 3 spaces, and no line that it could belong to is: align it with "
    "its neighbours",
    "a:\n  - x\n  y: 1\n": "line 3: a list and a mapping cannot stand side by side: indent one, or give it a "
    "key (column 3)",
    "a:\n  y: 1\n  - x\n": "line 3: a list and a mapping cannot stand side by side: indent one, or give it a "
    "key (column 3)",
    "a: *.example.com\n": "line 1: * starts a reference to an anchor, and there is none of that name: quote "
    "it if it is "
    "text (column 5)",
    "a:\n\tb: 1\n": "line 2: a tab: use spaces, or quote the text (column 1)",
    "a: 1\n---\nb: 2\n": "line 2: a second document starts here: a file holds one (column 1)",
    **dict.fromkeys(
        ("%x\na: 1\n", "%YAML 1.1\na: 1\n", "%x: 1\na: 1\n", "%x\n%y\n# z\n\na: 1\n"),
        'line 1: a line must not start with "%": quote the text, or remove the line',
    ),
    **dict.fromkeys(
        (
            "x: {{ .Values.foo }}\n",
            "{{ a }}: 1\n",
            "x: [{{ a }}]\n",
            "x: {{.a}}/b\n",
            "x: {{ a, }}\n",
            'x: {{ "a" b }}\n',
            "{{- if x }}\na: 1\n{{- end }}\n",
        ),
        "line 1: {{ ... }} is a template: quote the value",
    ),
    "a: 1\n{{- if x }}\nb: 2\n": "line 2: {{ ... }} is a template: quote the value (column 1)",
    "x: {a: 1, {b: 1}: 2}\n": "line 1: a key must be text: quote it",
    **{
        f"{key}: 1\n": f"line 1: a key must be text: quote it ({key} means {means})"
        for key, means in {
            "y": "true",
            "on": "true",
            "no": "false",
            "Off": "false",
            "TRUE": "true",
            "~": "null",
        }.items()
    },
    "true: 1\n": "line 1: a key must be text: quote it",
    **dict.fromkeys(
        ("x: >-foo\n  b\n", "x: |foo\n", "x: |0\n  a\n"),
        "line 1: after | or > the text starts in the next line: put it there, or quote the value (column 4)",
    ),
    **dict.fromkeys(
        ("<<: 3\n", "<<: x\n", "<<:\n", "<<: [1]\n"),
        "line 1: << takes a mapping or a list of mappings, such as *name",
    ),
}


@pytest.mark.parametrize(("text", "says"), FREQUENT_MISTAKES.items())
def test_a_frequent_mistake_is_named_by_its_cause(text: str, says: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse(text)
    assert str(refused.value) == says


@pytest.mark.parametrize(("text", "line", "says"), REFUSED_DOCUMENTS)
def test_a_document_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(SettingError, match=rf"^line {line}: .*{says}"):
        parse(text)


@pytest.mark.parametrize("text", [text for text, _, _ in REFUSED_DOCUMENTS])
def test_a_refusal_of_a_document_is_one_readable_line(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(text)
    assert not set("\n\r") & set(str(caught.value))
    assert len(str(caught.value)) < 300


# ---- files


def test_a_file_of_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: {b: é}\n", encoding="utf-8")
    assert read_mapping(tmp_path / "values.yaml", name="values.yaml") == {"a": {"b": "é"}}


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_is_an_empty_mapping(content: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(content)
    assert read_mapping(tmp_path / "values.yaml", name="values.yaml") == {}


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_mapping(tmp_path / "values.yaml", name="values.yaml") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- a\n", "values.yaml: must be a mapping of keys to values; got "),
        (b"a\n", "values.yaml: must be a mapping of keys to values; got "),
        (b"1\n", "values.yaml: must be a mapping of keys to values; got "),
        (b"[]\n", "values.yaml: must be a mapping of keys to values; got "),
        (b"a: 1\na: 2\n", 'values.yaml: line 2: the key "a" stands twice'),
        (b"a: [\n", "values.yaml: line "),
        (b"a: \xff\n", "values.yaml: cannot be read: not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "values.yaml: cannot be read: not UTF-8 text"),
        (b'a: !!int ""\n', "values.yaml: line 1: "),
        (b"a: !!timestamp x\n", "values.yaml: line 1: "),
    ],
)
def test_a_bad_file_gives_one_line_with_its_name(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_bytes(content)
    with pytest.raises(SettingErrors) as caught:
        read_mapping(tmp_path / "values.yaml", name="values.yaml")
    (line,) = caught.value.lines
    assert line.startswith(says)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingErrors, match=r"^team/values\.yaml: no such file$"):
        read_mapping(tmp_path / "values.yaml", name="team/values.yaml")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (".", "cannot be read: Is a directory"),
        ("..", "cannot be read: Is a directory"),
        ("folder", "cannot be read: Is a directory"),
        ("folder/none.yaml", "no such file"),
        ("/dev/null", "cannot be read: is no regular file"),
        ("folder/list.yaml", "must be a mapping of keys to values"),
    ],
)
def test_a_file_that_is_none_is_called_as_it_was_given(
    place: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "list.yaml").write_text("- a\n")
    with pytest.raises(SettingErrors) as caught:
        read_deployments(place)
    assert caught.value.lines[0].startswith(f"{'list.yaml' if 'list' in place else place}: {says}")


# ---- real Helm

BASE = """
testEcho: true
resourceNamePrefix: prod
namespace: astro
astroDeploymentAPIURL: https://x.example.com/d
image: x
imagePullSecretName: x
openLineage: {enabled: false}
"""


def received(helm: Path, folder: Path, text: str) -> dict[str, Any] | None:
    """All values as the templates of a chart get them, or None where Helm refuses the file."""
    (folder / "base.yaml").write_text(BASE)
    (folder / "values.yaml").write_text(text, encoding="utf-8", newline="")
    files = itertools.chain.from_iterable(("--values", str(folder / name)) for name in ("base.yaml", "values.yaml"))
    command = [str(helm), "template", "x", str(CHART), "--show-only", "templates/values-echo.yaml", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        assert "failed to parse" in done.stderr, done.stderr
        return None
    document = yaml.safe_load(done.stdout)["data"]["values"]
    values: dict[str, Any] = json.loads(document, parse_int=float)  # as Helm has them; JSON shows 17 digits of a float
    return values


@pytest.mark.terraform
def test_the_table_of_scalars_is_helms(helm: Path, tmp_path: Path) -> None:
    values = received(helm, tmp_path, "scalars:\n" + in_a_list(list(SCALARS)))
    assert values is not None
    differ = [
        (text, ours, helms)
        for (text, ours), helms in zip(SCALARS.items(), values["scalars"], strict=True)
        if not equal(ours, helms)
    ]
    assert not differ


@pytest.mark.terraform
@pytest.mark.parametrize(("text", "helms"), ODD)
def test_the_table_of_odd_scalars_is_helms(text: str, helms: Any, helm: Path, tmp_path: Path) -> None:
    values = received(helm, tmp_path, f"scalars:\n{in_a_list([text])}")
    assert (helms is SettingError) if values is None else equal(values["scalars"], [helms])


@pytest.mark.terraform
@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc:\n  <<: *x\n  b: 3\n",
        "a: {b: {c: &x {<<: {q: 1}, q: 2}}}\nd: {<<: *x}\n",
        "a: &x {b: 1}\nc: {<<: [*x, {b: 2, e: 1}]}\n",
        "<<: {a: 1}\nb: 2\n",
        "\ufeffa: 1\n",
        "a: 1\r\nb: |\r\n  x\r\n  y\r\n",
        "%YAML 1.1\n---\na: y\n...\n",
        '{"a": 1, "b": [true, null, "\\u00e9"]}',
        "'1': a\n\"y\": b\né: 1\na:b: 2\n=: d\n",
        "10.0.0.1: a\n2024-01-01: b\n1.2.3: c\n12:30: a\n-f: b\n.d: c\n1_a: d\n",
    ],
)
def test_a_document_is_read_as_real_helm_reads_it(text: str, helm: Path, tmp_path: Path) -> None:
    values = received(helm, tmp_path, text)
    assert values is not None
    assert equal(parse(text), {key: value for key, value in values.items() if key in parse(text)})


PLAIN = st.one_of(
    st.from_regex(r"[-+]?(0|0x|0o|0b|0X|0B|00|1|9)?[0-9a-fA-F_.]{0,5}([eE][-+]?[0-9_]{1,2})?", fullmatch=True),
    st.text(alphabet="0123456789_.eE+-:", min_size=1, max_size=7),
    st.text(alphabet="yYnNtTrRuUeEfFaAlLsSoO", min_size=1, max_size=5),
    st.text(alphabet="~nulNUL.iInNfFaA+-", min_size=1, max_size=5),
    st.text(alphabet="ab01 #:-?,[]{}&*!|>'\"%@`\\/<=~é", min_size=1, max_size=6),
    st.dates().map(str),
    st.times().map(str),
    st.floats().map(str),
    st.integers(-(2**60), 2**60).map(str),
)


def readable(text: str) -> bool:
    """One entry of a list to us, whose name no other entry can use."""
    try:
        return len(parse(in_a_list([text]))) == 1 and not re.search(r"[&*]", text)
    except SettingError:
        return False


@pytest.mark.terraform
def test_generated_scalars_are_read_as_real_helm_reads_them(
    helm: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("scalars")

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(PLAIN.filter(readable), min_size=50, max_size=80, unique=True))
    def check(texts: list[str]) -> None:
        values = received(helm, folder, "scalars:\n" + in_a_list(texts))
        assert values is not None, f"Helm refuses one of {texts}"
        ours = [parse(in_a_list([text]))[0] for text in texts]
        assert not [case for case in zip(texts, ours, values["scalars"], strict=True) if not equal(case[1], case[2])]

    check()
