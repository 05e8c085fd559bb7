"""`astro-xcom graph`: what is drawn, and the pictures in docs."""

import importlib.util
import json
import random
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.cli import app as cli
from astro_xcom.deployments import read_deployments
from astro_xcom.graph import Card, Stack, cards, mermaid, picture
from astro_xcom.graph.references import not_implied, reachable
from astro_xcom.graph.words import WORDS
from astro_xcom.synthesis import synthesized
from support import EXAMPLE, GOLDEN, PROJECT, Body

PICTURES = PROJECT / "docs" / "pictures"
EXAMPLES = ("aws-example", "azure-example", "gcp-example")
GOLDENS = sorted(GOLDEN.glob("[ag]*/[ag]*-*.json"))
SVG = "{http://www.w3.org/2000/svg}"


def golden(name: str) -> Body:
    body: Body = json.loads((GOLDEN / name.partition("-")[0] / f"{name}.json").read_text())
    return body


def addresses(body: Body) -> set[str]:
    return {
        f"{front}{type_}.{name}"
        for kind, front in (("resource", ""), ("data", "data."))
        for type_, of_type in body.get(kind, {}).items()
        for name in of_type
    }


def card(stack: Stack, title: str) -> tuple[int, Card]:
    (found,) = [(position, each) for position, each in enumerate(stack.cards) if each.title == title]
    return found


def needed_by(stack: Stack, title: str) -> set[str]:
    """The titles that arrows from a card lead to."""
    position, _ = card(stack, title)
    return {stack.cards[needed].title for needing, needed in stack.arrows if needing == position}


def shuffled(value: Any, by: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(item, by)) for key, item in value.items()]
        return dict(by.sample(items, len(items)))
    return [shuffled(item, by) for item in value] if isinstance(value, list) else value


# ---- what is drawn


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
def test_every_block_is_on_one_card(file: Path) -> None:
    body = json.loads(file.read_text())
    drawn = [address for each in cards(body).cards for address in each.lines]
    assert sorted(drawn) == sorted(addresses(body))


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
def test_every_reference_is_an_arrow_or_follows_from_arrows(file: Path) -> None:
    body = json.loads(file.read_text())
    stack = cards(body)
    of = {address: position for position, each in enumerate(stack.cards) for address in each.lines}
    arrows: dict[int, set[int]] = {position: set() for position in range(len(stack.cards))}
    for needing, needed in stack.arrows:
        arrows[needing].add(needed)
    below = reachable(arrows)
    for address, position in of.items():
        *data, type_, name = address.split(".")
        text = json.dumps(body["data" if data else "resource"][type_][name])
        for other, its in of.items():
            if its != position and re.search(rf"(?<![\w.]){re.escape(other)}(?![\w-])", text):
                assert its in below[position], f"{address} -> {other}"


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
def test_every_type_has_words(file: Path) -> None:
    body = json.loads(file.read_text())
    assert {type_ for kind in ("resource", "data") for type_ in body.get(kind, {})} <= WORDS.keys()


def test_the_words_are_those_people_know() -> None:
    stack = cards(golden("aws-example"))
    _, bucket = card(stack, "S3 bucket")
    assert (bucket.group, bucket.looked_up, [*bucket.lines.values()]) == ("Storage", False, ["acme-astro-xcom"])
    _, cluster = card(stack, "EKS cluster")
    assert (cluster.group, cluster.looked_up, [*cluster.lines.values()]) == (None, True, ["data-prod"])
    assert [*card(stack, "Expiry")[1].lines.values()] == ["after 30 days"]
    assert [*card(stack, "Encryption")[1].lines.values()] == ["aws:kms"]
    assert [*card(cards(golden("aws-existing-role")), "Encryption")[1].lines.values()] == ["AES256"]


def test_blocks_of_one_kind_share_a_card() -> None:
    _, credentials = card(cards(golden("azure-example")), "5 × Federated credential")  # noqa: RUF001
    assert sorted(credentials.lines.values()) == [
        "prod-azure-dag-processor",
        "prod-azure-sentinel",
        "prod-azure-triggerer",
        "prod-azure-worker-default-worker",
        "prod-azure-worker-heavy",
    ]


@pytest.mark.parametrize("name", ["azure-maximal", "gcp-maximal"])
def test_names_on_a_card_differ(name: str) -> None:
    for each in cards(golden(name)).cards:
        assert len(set(each.lines.values())) == len(each.lines)


def test_documents_that_others_need_have_cards_of_their_own() -> None:
    documents = [each for each in cards(golden("aws-example")).cards if "olicy document" in each.title]
    assert [[*each.lines.values()] for each in documents] == [["trust"], ["access-identity"], ["tls-only"]]


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    assert needed_by(cards(golden("azure-example")), "Helm release") == {
        "5 × Federated credential",  # noqa: RUF001
        "Role assignment",
        "Private endpoint",
        "Expiry",
    }
    assert needed_by(cards(golden("azure-derived")), "Role assignment") == {"Managed identity", "Blob container"}


def test_an_arrow_leads_through_the_values() -> None:
    assert {"AWS account", "AWS partition"} <= needed_by(cards(golden("aws-example")), "Helm release")


def test_an_arrow_leads_through_the_provider() -> None:
    assert "GKE cluster" in needed_by(cards(golden("gcp-example")), "Helm release")


def test_a_provider_under_another_name_is_another() -> None:
    body = golden("gcp-example")
    (release,) = body["resource"]["helm_release"].values()
    body["provider"]["helm"][0]["alias"] = "other"
    assert "GKE cluster" not in needed_by(cards(body), "Helm release")
    release["provider"] = "helm.other"
    assert "GKE cluster" in needed_by(cards(body), "Helm release")


def test_text_that_only_looks_like_a_reference_is_none() -> None:
    body: Body = {"resource": {"a_x": {"one": {"text": "$${b_x.two.id}"}}, "b_x": {"two": {}}}}
    assert cards(body).arrows == ()
    body["resource"]["a_x"]["one"]["text"] = "${b_x.two.id}"
    assert len(cards(body).arrows) == 1


def test_only_what_follows_is_left_out() -> None:
    assert not_implied({"a": "bcd", "b": "d", "c": "", "d": ""}) == {
        "a": {"b", "c"},
        "b": {"d"},
        "c": set(),
        "d": set(),
    }


# ---- the picture


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
def test_the_picture_holds_every_card_and_address(file: Path) -> None:
    body = json.loads(file.read_text())
    stack = cards(body)
    svg = ET.fromstring(picture(file.stem, stack))
    tooltips = {line for title in svg.iter(f"{SVG}title") for line in (title.text or "").splitlines()}
    assert addresses(body) <= tooltips
    texts = [(text.text or "").strip() for text in svg.iter(f"{SVG}text")]
    assert not [each.title for each in stack.cards if each.title not in texts]
    arrows = [path for path in svg.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == len(stack.arrows) + 1  # and the legend's


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_of_examples_is_legible_on_a_page(name: str) -> None:
    svg = ET.parse(PICTURES / f"{name}.svg").getroot()
    smallest = min(int(size) for size in re.findall(r"font-size: (\d+)px", svg.findtext(f"{SVG}style") or ""))
    assert smallest * min(1, 900 / int(svg.attrib["width"])) >= 11


def test_any_text_is_drawn_as_it_is() -> None:
    text = '<a> & "b" \\N é 漢'
    stack = Stack(cards=(Card(title=text, group=None, looked_up=False, lines={"a.b": "x" * 99}),), arrows=())
    svg = ET.fromstring(picture(text, stack))
    texts = [(each.text or "").strip() for each in svg.iter(f"{SVG}text")]
    assert texts[:2] == [text, text]
    assert len(texts[2]) < 50


def test_name_and_legend_fit_above_and_below_few_cards() -> None:
    name = "a" * 48
    svg = ET.fromstring(picture(name, Stack(cards=(), arrows=())))
    assert int(svg.attrib["width"]) > 48 * 10
    svg = ET.fromstring(picture("a", Stack(cards=(), arrows=())))
    assert int(svg.attrib["width"]) > 260


def test_the_order_in_the_json_does_not_matter() -> None:
    body = golden("aws-maximal")
    drawn = picture("aws-maximal", cards(body))
    for seed in range(3):
        assert picture("aws-maximal", cards(shuffled(body, random.Random(seed)))) == drawn


def test_the_pictures_in_docs_are_what_the_command_draws() -> None:
    file = EXAMPLE / "deployments.yaml"
    bodies = synthesized(read_deployments(file), file=file.name)
    assert {place.stem for place in PICTURES.iterdir()} == set(bodies)
    for name, body in bodies.items():
        written = (PICTURES / f"{name}.svg").read_bytes()
        assert written == picture(name, cards(body)).encode(), f"docs/pictures/{name}.svg is stale: run `make pictures`"


# ---- the command


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """Arguments -> stdout, and what it refused."""
    monkeypatch.setattr(sys, "argv", ["astro-xcom", "graph", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    refused = done.value.code if isinstance(done.value.code, str) else ""
    assert bool(refused) == bool(done.value.code)
    return capsys.readouterr().out, refused


FILE = ("--file", EXAMPLE / "deployments.yaml")


def test_a_folder_gets_a_picture_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, refused = run(monkeypatch, capsys, *FILE, "-o", tmp_path / "new")
    assert not refused
    assert out.splitlines() == [str(tmp_path / "new" / f"{name}.svg") for name in EXAMPLES]
    assert sorted(path.stem for path in (tmp_path / "new").iterdir()) == [*EXAMPLES]


def test_a_file_gets_the_picture_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, capsys, *FILE, "gcp-example", "-o", tmp_path / "some.svg")
    assert (tmp_path / "some.svg").read_bytes() == (PICTURES / "gcp-example.svg").read_bytes()


def test_all_that_is_wrong_is_refused_at_once_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    _, refused = run(monkeypatch, capsys, *FILE, "aws-exmple", "gcp-example", "-o", tmp_path / "some.svg")
    assert refused.splitlines() == [
        "deployments.yaml: a deployment must be one of aws-example, azure-example, gcp-example; "
        'got "aws-exmple"; try aws-example',
        f"{tmp_path / 'some.svg'}: is a file for one picture: name one deployment, or give a folder",
        "graph needs the package pygraphviz; try the extra `graph` of this package",
    ]
    assert not [*tmp_path.iterdir()]


def test_a_file_of_another_kind_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.md").write_text("mine")
    _, refused = run(monkeypatch, capsys, *FILE, "gcp-example", "-o", tmp_path / "notes.md")
    assert refused == f"{tmp_path / 'notes.md'}: must be a folder, or a file that ends in .svg"
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_no_folder_is_created_under_the_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, refused = run(monkeypatch, capsys, *FILE, "gcp-example", "-o", tmp_path / "picture.png")
    assert refused == f"{tmp_path / 'picture.png'}: must be a folder, or a file that ends in .svg"
    assert not (tmp_path / "picture.png").exists()


# ---- as Mermaid


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
def test_mermaid_has_the_same_cards_and_arrows(file: Path) -> None:
    stack = cards(json.loads(file.read_text()))
    text = mermaid(stack)
    nodes = re.findall(r'^    n(\d+)\["([^"\n]*)"\]$', text, re.MULTILINE)
    assert sorted(int(number) for number, _ in nodes) == [*range(len(stack.cards))]
    arrows = re.findall(r"^  n(\d+) --> n(\d+)$", text, re.MULTILINE)
    assert [(int(card), int(needed)) for card, needed in arrows] == [*stack.arrows]
    assert text.count("  subgraph ") == text.count("  end\n") == len({card.group for card in stack.cards} - {None})
    assert all(re.fullmatch(r"([\w .\-/:×…]|<br/>|#\d+;)*", label) for _, label in nodes)  # noqa: RUF001


def test_policies_of_two_roles_are_told_apart() -> None:
    body = json.loads((GOLDEN / "aws" / "aws-workers.json").read_text())
    named = [(card.title, text) for card in cards(body).cards for text in card.lines.values() if text]
    assert ("Policy of the role", "storage-acme-astro-xcom-workers of finance") in named
    assert ("Policy document", "trust of finance") in named
    assert ("Policy document", "trust") in named
    assert not [each for each in named if named.count(each) > 1]


def test_mermaid_needs_no_graphviz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    out, refused = run(monkeypatch, capsys, *FILE, "gcp-example", "--format", "mermaid", "-o", tmp_path)
    assert (out, refused) == (f"{tmp_path / 'gcp-example.mmd'}\n", "")
    assert (tmp_path / "gcp-example.mmd").read_text().startswith("flowchart LR\n  subgraph Agents\n")


def test_a_character_of_mermaid_is_no_syntax() -> None:
    odd = Card(title='a"]; end', group=None, looked_up=True, lines={"x.y": "<b>#1"})
    assert 'n0["a#34;#93;#59; end<br/>#60;b#62;#35;1"]' in mermaid(Stack(cards=(odd,), arrows=()))
