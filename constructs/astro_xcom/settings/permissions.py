"""What the agents' identity may do in addition to its access to XComs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from typing_extensions import Self

from astro_xcom.errors import SettingError
from astro_xcom.rules import aws, azure, gcp
from astro_xcom.settings.base import Settings

Action = Annotated[str, AfterValidator(aws.iam_action)]
Resource = Annotated[str, AfterValidator(aws.iam_resource)]
Operator = Annotated[str, AfterValidator(aws.condition_operator)]
ConditionKey = Annotated[str, AfterValidator(aws.condition_key)]


class AwsPolicyStatement(Settings):
    """Actions that an inline policy of the role allows."""

    sid: Annotated[str, AfterValidator(aws.statement_id)] | None = None
    """The statement's id, for readers; unique in this list."""
    effect: Literal["Allow"] = "Allow"
    actions: tuple[Action, ...]
    """Actions, as `service:Action`. Every action of every service (`*`) is refused."""
    resources: tuple[Resource, ...]
    """ARNs of the resources. Stars are allowed."""
    conditions: dict[Operator, dict[ConditionKey, tuple[str, ...]]] = Field(default_factory=dict)
    """Operator -> condition key -> list of values, as in IAM."""

    @field_validator("actions", "resources")
    @classmethod
    def _not_nothing(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not values:
            raise SettingError("must hold at least one", got=[])
        return values

    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        aws.not_everything(self.actions, self.resources)
        return self


class AzureRole(Settings):
    """A role that the identity gets on a scope."""

    role: Annotated[str, AfterValidator(azure.role)]
    """The name of a role, built-in or custom."""
    scope: Annotated[str, AfterValidator(azure.role_scope)]
    """Resource id of a resource, a resource group or a subscription."""


class GcpRole(Settings):
    """A role that the agents get on a scope."""

    role: Annotated[str, AfterValidator(gcp.role)]
    """A predefined role, or a custom one of a project or an organization."""
    scope: Annotated[str, AfterValidator(gcp.role_scope)]
    """`projects/<project>`, `projects/<project>/secrets/<secret>` or `projects/_/buckets/<bucket>`."""
