"""One source, two engines: what tools/cdktn.py writes for CDK Terrain. `make CDK=cdktn test` runs the tests there."""

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from support import GOLDEN, PROJECT

cdktn = SimpleNamespace(**runpy.run_path(str(PROJECT / "tools" / "cdktn.py")))
ENGINE: Path = PROJECT / cdktn.ENGINE
pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="this is what was written")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    cdktn.write(PROJECT, folder)
    return folder


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("from cdktf import Fn", "from cdktn import Fn"),
        ('"import cdktf\\nfrom cdktf import App"', '"import cdktn\\nfrom cdktn import App"'),
        (
            "from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket",
            "from cdktn_provider_aws.s3_bucket import S3Bucket",
        ),
        ("cdktf-cdktf-provider-aws>=21.22,<22", "cdktn-provider-aws>=25.8,<26"),
        ("cdktf-astro-xcom cdktf_astro_xcom", "cdktn-astro-xcom cdktn_astro_xcom"),
        ("CDKTF writes cdktf.out by `cdktf synth`", "CDK Terrain writes cdktf.out by `cdktn synth`"),
        ("CDKTF_OUTDIR cdktf.json cdk.tf.json", "CDKTF_OUTDIR cdktf.json cdk.tf.json"),
    ],
)
def test_a_text_follows_the_rules(text: str, written: str) -> None:
    assert cdktn.rewritten(text) == written


def test_every_rule_is_needed() -> None:
    texts = [
        (PROJECT / path).read_text(encoding="utf-8")
        for path in cdktn.files(PROJECT)
        if path.suffix in cdktn.TEXTS and path not in cdktn.KEPT and path != Path("tests", Path(__file__).name)
    ]
    for pattern in cdktn.RULES:
        assert any(re.search(pattern, text) for text in texts), pattern


def test_the_package_knows_the_second_engine_alone(source: Path) -> None:
    for file in (source / "constructs").rglob("*.py"):
        assert not re.search(r"(import|from) cdktf|cdktf_cdktf_provider_\w", file.read_text()), file
    project = (source / "constructs" / "pyproject.toml").read_text()
    assert 'name = "cdktn-astro-xcom"' in project
    assert not re.search(r'"cdktf[^"]*[>=<]', project)
    assert len(re.findall(r'"cdktn(?:-provider-\w+)?>=', project)) == 5


def test_a_second_run_changes_nothing_and_takes_away_what_is_gone(source: Path) -> None:
    before = {path: (source / path).stat().st_mtime_ns for path in cdktn.files(source)}
    left = source / "constructs" / "astro_xcom" / "gone.py"
    left.write_text("")
    cdktn.write(PROJECT, source)
    assert {path: (source / path).stat().st_mtime_ns for path in cdktn.files(source)} == before


def test_what_differs_between_the_engines_is_all_that_is_listed(source: Path) -> None:
    """That the goldens there are what CDK Terrain makes is for tests/test_golden.py to say."""
    differences = json.loads((ENGINE / "differences.json").read_text())
    assert set(differences["resources"]) == {"azurerm_federated_identity_credential"}
    for file in GOLDEN.glob("*/*.json"):
        ours = json.loads(file.read_text())
        theirs = json.loads((source / file.relative_to(PROJECT)).read_text())
        assert cdktn.golden(ours, differences) == theirs
    made = [json.loads(file.read_text()) for file in GOLDEN.glob("**/*.json")]
    for type_, changes in differences["resources"].items():
        found = [one for body in made for one in body.get("resource", {}).get(type_, {}).values()]
        assert found
        assert all(set(changes) <= set(one) for one in found)
    providers = {name for body in made for name in body.get("terraform", {}).get("required_providers", {})}
    assert providers == set(differences["required_providers"])
