"""What a role may do beside XComs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
)
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from astro_xcom.errors import SettingError, at
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.rules import aws as rules
from astro_xcom.tokens import check_if_known, is_known


@dataclass(frozen=True, kw_only=True)
class PolicyStatement:
    """Actions that a policy allows.

    - `actions`: as `service:Action`. Every action of every service (`*`) is refused.
    - `resources`: ARNs, in which stars are allowed.
    - `sid`: the statement's id. Default: none.
    - `conditions`: operator -> condition key -> values, as in IAM.

    Raises SettingError for what IAM refuses.
    """

    actions: Sequence[str]
    resources: Sequence[str]
    sid: str | None = None
    conditions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Operator -> condition key -> values, as IAM writes it."""

    def __post_init__(self) -> None:
        if not self.actions or not self.resources:
            raise SettingError("a statement needs at least one action and one resource")
        for action in self.actions:
            check_if_known(rules.iam_action, action)
        for resource in self.resources:
            check_if_known(rules.iam_resource, resource)
        check_if_known(rules.statement_id, self.sid)
        for operator, of in self.conditions.items():
            check_if_known(rules.condition_operator, operator)
            for key in of:
                check_if_known(rules.condition_key, key)
        rules.not_everything(
            [action for action in self.actions if is_known(action)],
            [resource for resource in self.resources if is_known(resource)],
        )


def check_permissions(policy_arns: Sequence[str], statements: Sequence[PolicyStatement]) -> None:
    """Refuse what IAM would refuse, and what has no address of its own."""
    for arn in policy_arns:
        if not is_known(arn):
            raise SettingError(
                "policy_arns must be known when the JSON is written: they are part of addresses",
                hint="an IamRolePolicyAttachment of your own, with role=role.name",
            )
        rules.attached_policy_arn(arn)
    with at("policy_arns"):
        rules.attached_policies(policy_arns)
    rules.statement_ids(statement.sid for statement in statements)
    rules.inline_policy_size(_size(statements))


def attach(
    role: Construct, *, name: str, policy_arns: Sequence[str], statements: Sequence[PolicyStatement]
) -> list[IamRolePolicyAttachment | IamRolePolicy]:
    """An attachment for each managed policy, and an inline policy with the statements, if there are any."""
    made: list[IamRolePolicyAttachment | IamRolePolicy] = [
        IamRolePolicyAttachment(
            role, f"permission-{rules.policy_key(arn)}", role=name, policy_arn=arn, lifecycle=NEW_FIRST
        )
        for arn in policy_arns
    ]
    if statements:
        document = DataAwsIamPolicyDocument(role, "permission-statements", statement=[_written(s) for s in statements])
        made.append(
            IamRolePolicy(role, "permission", name=rules.BESIDE, role=name, policy=document.json, lifecycle=NEW_FIRST)
        )
    return made


def _written(statement: PolicyStatement) -> DataAwsIamPolicyDocumentStatement:
    return DataAwsIamPolicyDocumentStatement(
        sid=statement.sid,
        effect="Allow",
        actions=[*statement.actions],
        resources=[*statement.resources],
        condition=[
            DataAwsIamPolicyDocumentStatementCondition(test=operator, variable=key, values=[*values])
            for operator, of in statement.conditions.items()
            for key, values in of.items()
        ]
        or None,
    )


def _size(statements: Sequence[PolicyStatement]) -> int:
    """About what IAM counts."""
    written = [[s.sid, [*s.actions], [*s.resources], s.conditions] for s in statements]
    text = json.dumps(written, default=lambda mapping: {**mapping}, separators=(",", ":"))
    return len(text) + 60 * len(statements)
