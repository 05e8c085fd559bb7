"""What the checks accept fits the cloud's own rule, and what they refuse comes with a name that works."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.errors import SettingError
from astro_xcom.rules import aws as rules
from astro_xcom.rules import azure, common

Check = Callable[[str], str]

ACCOUNT = "[0-9]{12}"
PARTITION = "aws(-[a-z]+)*"
IAM_NAME = "[A-Za-z0-9_+=,.@-]"

# The rule as the cloud's own reference has it, written down without a look at the code.
RULES: dict[Check, str] = {
    common.dns_label: r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    common.deployment_name: r"(?=.{1,48}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    common.resource_name_prefix: r"(?=.{1,40}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    common.release_name: r"(?=.{1,53}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    common.object_path: r"(?!.*(^|/)\.{1,2}(/|\Z))([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?",
    common.connection_id: r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    common.chart_version: r"(?!2\.2\.0\Z)(?![01]\.)[0-9]+\.[0-9]+\.[0-9]+",
    rules.s3_bucket: (
        r"(?!xn--|sthree-|amzn-s3-demo-)(?=.{3,63}\Z)(?!.*(-s3alias|--ol-s3|--x-s3|--table-s3|-an)\Z)"
        r"[a-z0-9][a-z0-9-]*[a-z0-9]"
    ),
    rules.existing_s3_bucket: (
        r"(?=.{3,63}\Z)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)\Z)[a-z0-9][a-z0-9.-]*[a-z0-9]"
    ),
    rules.aws_region: r"[a-z]{2,}(-[a-z]+)+-[0-9]",
    rules.aws_account_id: ACCOUNT,
    rules.iam_role: rf"{IAM_NAME}{{1,64}}",
    rules.iam_path: r"(?=.{1,512}\Z)/([!-~]+/)?",
    rules.oidc_provider_arn: (
        rf"arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/[A-Za-z0-9.-]+(/[A-Za-z0-9_./-]*[A-Za-z0-9_-])?"
    ),
    rules.iam_policy_arn: rf"arn:{PARTITION}:iam::({ACCOUNT}|aws):policy/({IAM_NAME}+/)*{IAM_NAME}+",
    rules.iam_role_arn: rf"arn:{PARTITION}:iam::{ACCOUNT}:role/({IAM_NAME}+/)*{IAM_NAME}+",
    rules.existing_iam_role: rf"{IAM_NAME}{{1,64}}|arn:{PARTITION}:iam::{ACCOUNT}:role/({IAM_NAME}+/)*{IAM_NAME}+",
    rules.kms_key_arn: rf"arn:{PARTITION}:kms:[a-z0-9-]+:{ACCOUNT}:key/[A-Za-z0-9-]+",
    rules.eks_cluster: r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
}

GOOD: dict[Check, list[str]] = {
    common.dns_label: ["a", "0", "a-b", "a" * 63, "0-0"],
    common.deployment_name: ["aws-example", "a" * 48],
    common.resource_name_prefix: ["prod", "a" * 40],
    common.release_name: ["astro-agent", "a" * 53],
    common.object_path: ["", "xcom", "team/xcom", "a=1/b.c/_d-", "..a", "a..", "..."],
    common.connection_id: ["aws_default", "_", "0.x-y", "A"],
    common.chart_version: ["2.0.0", "2.2.1", "2.3.3", "3.0.0", "10.20.30"],
    rules.s3_bucket: ["abc", "a" * 63, "a--b", "123", "xn-a", "acme-s3", "abc--ols-s3", "acme-an-1", "acmean"],
    rules.existing_s3_bucket: ["abc", "acme.data", "a" * 63, "xn--abc", "acme-111122223333-us-east-1-an"],
    rules.aws_region: ["us-east-1", "eu-central-2", "us-gov-west-1", "cn-northwest-1", "us-iso-east-1", "mx-central-1"],
    rules.aws_account_id: ["111122223333", "000000000001"],
    rules.iam_role: ["x", "A_b+c=d,e.f@g-h", "a" * 64],
    rules.iam_path: ["/", "/astro/", "/a/b.c/", "/" + "a" * 510 + "/"],
    rules.oidc_provider_arn: [
        "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        "arn:aws-cn:iam::111122223333:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF",
        "arn:aws-us-gov:iam::111122223333:oidc-provider/oidc.example.com",
    ],
    rules.iam_policy_arn: [
        "arn:aws:iam::111122223333:policy/boundary",
        "arn:aws:iam::aws:policy/PowerUserAccess",
        "arn:aws-us-gov:iam::111122223333:policy/team/boundary",
    ],
    rules.iam_role_arn: ["arn:aws:iam::111122223333:role/astro", "arn:aws-iso-b:iam::111122223333:role/a/b/c"],
    rules.existing_iam_role: ["astro", "arn:aws:iam::111122223333:role/astro"],
    rules.kms_key_arn: [
        "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000",
        "arn:aws:kms:us-east-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef",
    ],
    rules.eks_cluster: ["data-prod", "A_b", "0", "a" * 100],
}

ARABIC_ONE = "\u0661"  # a digit to `\d`, not to AWS
IAM = "arn:aws:iam::111122223333:"
KEY = "arn:aws:kms:us-east-1:111122223333:"

REFUSED: list[tuple[Check, list[str]]] = [
    (common.dns_label, ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "ä", "a\n", "a b"]),
    (common.deployment_name, ["", "a" * 49, "a.b"]),
    (common.resource_name_prefix, ["", "a" * 41]),
    (common.release_name, ["", "a" * 54]),
    (common.object_path, ["/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "/.", "./", "../a"]),
    (common.object_path, ["a*", "a?", "a@b", "a:b", "ä", "a b", "a\n", "s3://a/b"]),
    (common.connection_id, ["", "-a", ".a", "a@b", "a b", "a/b", "a%20b", "ä"]),
    (common.chart_version, ["", "2", "2.3", "v2.3.3", "2.3.3-rc1", "2.2.0", "1.9.9", "0.1.0", "^2.3.3", "2.3.x"]),
    (common.chart_version, [f"2.{ARABIC_ONE}.3"]),
    (rules.s3_bucket, ["", "ab", "a" * 64, "Abc", "a.b.c", "-ab", "ab-", "a_c", "abc\n"]),
    (rules.s3_bucket, ["xn--abc", "sthree-abc", "amzn-s3-demo-abc", "xn--a", "xn--xn--a", "sthree--abc"]),
    (rules.s3_bucket, ["abc-s3alias", "abc--ol-s3", "abc--x-s3", "abc--table-s3", "a-s3alias", "a---x-s3"]),
    (rules.s3_bucket, ["acme-111122223333-us-east-1-an", "acme-111122223333-us-gov-west-1-an", "acme-an"]),
    (rules.existing_s3_bucket, ["abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--use1-az4--x-s3", "abc--table-s3"]),
    (rules.existing_s3_bucket, ["", "ab", "a" * 64, "Abc", ".abc", "abc."]),
    (rules.aws_region, ["", "us", "us-east", "us-east-1a", "US-EAST-1", "us_east_1", f"us-east-{ARABIC_ONE}"]),
    (rules.aws_account_id, ["", "1" * 11, "1" * 13, "1111-2222-3333", "11112222333a", "1" * 12 + "\n"]),
    (rules.aws_account_id, [ARABIC_ONE * 12]),
    (rules.iam_role, ["", "a" * 65, "a b", "a/b", "ä", "a:b", ARABIC_ONE]),
    (rules.iam_path, ["", "a", "/a", "a/", "//", "/a b/", "/ä/", "/a//b/", "/" + "a" * 511 + "/", "/a\n/"]),
    (rules.oidc_provider_arn, ["", "oidc.eks.amazonaws.com", "arn:aws:iam::1:oidc-provider/a", f"{IAM}oidc-provider/"]),
    (rules.oidc_provider_arn, [f"{IAM}oidc-provider/a/${{b}}", f"{IAM}oidc-provider/a/"]),
    (rules.iam_policy_arn, ["boundary", f"{IAM}role/a", f"{IAM}policy/", f"{IAM}policy/*", f"{IAM}policy/${{b}}"]),
    (rules.iam_policy_arn, [f"arn:aws:iam::{ARABIC_ONE * 12}:policy/a", "arn:gcp:iam::111122223333:policy/a"]),
    (rules.iam_role_arn, ["astro", f"{IAM}user/a", f"{IAM}role/", f"{IAM}role/*", f'{IAM}role/"', f"{IAM}role/a/"]),
    (rules.existing_iam_role, ["", "a b", "arn:aws:iam::1:role/a", "role/a"]),
    (
        rules.kms_key_arn,
        ["alias/a", f"{KEY}alias/a", f"{KEY}key/", f"{KEY}key/*", "00000000-0000-0000-0000-000000000000"],
    ),
    (rules.eks_cluster, ["", "-a", "_a", "a" * 101, "a b", "a.b", "ä"]),
]
EVERY_REFUSED = [(check, value) for check, values in REFUSED for value in values]


def near(check: Check) -> st.SearchStrategy[str]:
    """Texts that are good, almost good, or far away."""
    good = st.sampled_from(GOOD[check])
    odd = st.text(alphabet="aZ09-_./:@*? =+,${}é\n\u0661", max_size=6)

    def into(text: str, at: int, odd: str) -> str:
        at %= len(text) + 1
        return text[:at] + odd + text[at:]

    return st.builds(into, good, st.integers(0, 100), odd) | odd


TRIES = st.sampled_from(list(RULES)).flatmap(lambda check: st.tuples(st.just(check), near(check)))
PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
OF_EVERY_CHECK = settings(PROPERTY, max_examples=250)


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD.items() for value in values])
def test_a_good_name_comes_back_as_it_is(check: Check, value: str) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), EVERY_REFUSED)
def test_a_bad_name_is_refused(check: Check, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        check(value)
    assert caught.value.got == value


@OF_EVERY_CHECK
@given(tried=TRIES)
def test_an_accepted_name_fits_the_clouds_rule(tried: tuple[Check, str]) -> None:
    check, value = tried
    assert refusal(check, value) or re.fullmatch(RULES[check], value)


def refusal(check: Check, value: str) -> SettingError | None:
    try:
        check(value)
    except SettingError as error:
        return error
    return None


@pytest.mark.parametrize(("check", "value"), EVERY_REFUSED)
def test_what_to_try_is_itself_accepted(check: Check, value: str) -> None:
    refused = refusal(check, value)
    if refused is not None and refused.hint is not None:
        check(json.loads(refused.hint))


@OF_EVERY_CHECK
@given(tried=TRIES)
def test_what_to_try_is_accepted_whatever_came(tried: tuple[Check, str]) -> None:
    check, value = tried
    refused = refusal(check, value)
    if refused is not None and refused.hint is not None:
        check(json.loads(refused.hint))


@OF_EVERY_CHECK
@given(tried=TRIES)
def test_a_refusal_is_one_line(tried: tuple[Check, str]) -> None:
    refused = refusal(*tried)
    assert refused is None or not set("\n\r") & set(str(refused))


# ---- messages


@pytest.mark.parametrize(
    ("check", "value", "says"),
    [
        (common.dns_label, "My_App", 'starting and ending with a letter or digit; got "My_App"; try "my-app"'),
        (common.dns_label, "___", 'got "___"'),
        (common.deployment_name, "a" * 49, "must be 1-48 lower-case letters"),
        (common.resource_name_prefix, "a" * 41, "must be 1-40 lower-case letters"),
        (common.release_name, "a" * 54, "must be 1-53 lower-case letters"),
        (common.object_path, "/xcom/", 'got "/xcom/"; try "xcom"'),
        (common.object_path, "s3://bucket/xcom", 'without a bucket or scheme; got "s3://bucket/xcom"; try "xcom"'),
        (common.connection_id, "aws@prod", 'in the XCom path); got "aws@prod"'),
        (common.chart_version, "2.3", 'must be one exact version, such as 2.3.3; got "2.3"; try "2.3.3"'),
        (common.chart_version, "2.2.0", "2.2.0 cannot be installed without every OpenLineage setting"),
        (common.chart_version, "1.4.0", "1.x charts have another values layout and are not supported"),
        (rules.s3_bucket, "Acme.Data", "must be 3-63 lower-case letters, digits or hyphens"),
        (rules.s3_bucket, "xn--acme", 'S3 keeps the prefix xn-- for itself; got "xn--acme"; try "acme"'),
        (
            rules.s3_bucket,
            "acme-s3alias",
            'what ends with -s3alias is the alias of an access point; got "acme-s3alias"',
        ),
        (rules.aws_region, "frankfurt", 'must be an AWS region code, such as us-east-1; got "frankfurt"'),
        (rules.aws_account_id, "1111", 'in quotes; got "1111"'),
        (rules.iam_role, "my role", 'got "my role"; try "my-role"'),
        (rules.iam_path, "astro", 'got "astro"; try "/astro/"'),
        (rules.kms_key_arn, "alias/xcom", "must be the ARN of a KMS key, not of an alias"),
        (rules.existing_iam_role, "arn:x", "must be the ARN of an IAM role"),
        (rules.eks_cluster, "a b", "must be an EKS cluster's name: 1-100 letters, digits, hyphens or underscores"),
    ],
)
def test_a_refusal_says_the_rule_and_what_came(check: Check, value: str, says: str) -> None:
    with pytest.raises(SettingError, match=re.escape(says)):
        check(value)


@pytest.mark.parametrize("length", [100, 10_000])
def test_a_long_value_is_cut_in_the_message(length: int) -> None:
    with pytest.raises(SettingError) as caught:
        rules.iam_role("@" * length)
    shown = str(caught.value).split("got ")[1].split("; try")[0]
    assert shown.startswith('"' + "@" * 60)
    assert len(shown) <= 80


# ---- folders


PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "-"]), max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("xcom", "xcom", True),
        ("xcom", "xcom/a", True),
        ("xcom", "xcom-state", False),
        ("xcom", "xco", False),
        ("xcom/a", "xcom", False),
        ("", "xcom", True),
        ("xcom", "", False),
        ("", "", True),
        ("a", "b/a", False),
    ],
)
def test_which_folder_contains_which(outer: str, inner: str, expected: bool) -> None:
    assert common.contains(outer, inner) is expected


@PROPERTY
@given(path=PATHS)
def test_a_folder_contains_itself(path: str) -> None:
    assert common.contains(path, path)


@PROPERTY
@given(one=PATHS, other=PATHS)
def test_two_folders_that_contain_one_another_are_the_same(one: str, other: str) -> None:
    assert not (common.contains(one, other) and common.contains(other, one)) or one == other


@settings(PROPERTY, max_examples=200)
@given(outer=PATHS, between=PATHS, inner=PATHS)
def test_containing_passes_through(outer: str, between: str, inner: str) -> None:
    assert not (common.contains(outer, between) and common.contains(between, inner)) or common.contains(outer, inner)


@PROPERTY
@given(outer=PATHS, inner=PATHS, last=st.sampled_from(["x", "y.json"]))
def test_a_folder_contains_another_exactly_when_it_holds_its_objects(outer: str, inner: str, last: str) -> None:
    def key(path: str) -> str:
        return f"{path}/{last}" if path else last

    holds = key(inner).startswith(f"{outer}/" if outer else "")
    assert common.contains(outer, inner) is holds


@pytest.mark.parametrize(
    ("lower", "higher"), [("2.3.0", "2.3.1"), ("2.9.0", "2.10.0"), ("2.3.3", "10.0.0"), ("2.99.99", "3.0.0")]
)
def test_versions_compare_as_numbers(lower: str, higher: str) -> None:
    assert common.version_key(lower) < common.version_key(higher)


@pytest.mark.parametrize(("rule", "longest"), [(common.object_path, 512), (common.connection_id, 250)])
def test_what_is_too_long_is_refused(rule: Callable[[str], str], longest: int) -> None:
    assert rule("x" * longest) == "x" * longest
    with pytest.raises(SettingError, match=f"{longest} characters at most"):
        rule("x" * (longest + 1))


def test_the_firewall_of_an_account_has_a_limit() -> None:
    azure.ip_rules(["198.51.100.7"] * 400)
    with pytest.raises(SettingError, match="400 ranges at most"):
        azure.ip_rules(["198.51.100.7"] * 401)
