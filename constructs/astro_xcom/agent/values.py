"""The chart values of one agent release, as Terraform sees them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cdktf import Fn, TerraformLocal, Token
from constructs import Construct

from astro_xcom import chart_values, vendor_values
from astro_xcom.errors import SettingErrors
from astro_xcom.settings import AgentSettings, StateStoreSettings, XComSettings
from astro_xcom.terraform_text import PATTERN, REPLACEMENT, escape_templates, without_normalization
from astro_xcom.user_values import check_environment
from astro_xcom.xcom import CLOUDS, PodIdentity, XComLocation


class AgentValues(Construct):
    """One `values` document: your own chart values with the XCom backend merged in. Creates no resource.

    ```python
    agent = AgentSettings(namespace="astro", resource_name_prefix="prod")
    location = XComLocation(url="s3://acme-astro-xcom/xcom", cloud="aws")
    role = PodIdentity(annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/astro-agents"})
    values = AgentValues(stack, "values", agent=agent, location=location, pod_identity=role)
    ```

    - `agent`: the settings of the release, with your own chart values.
    - `location`: where the XComs go.
    - `pod_identity`: what the agents' pods and service accounts carry.
    - `xcom`: how agents store XComs. Default: the settings' defaults.
    - `state_store`: the agents' state store. Default: none.

    - `workers`: the identity of each worker that has its own. Default: none.

    `yaml` has sorted keys and LF line ends; text in your values reaches the chart unchanged. Raises SettingErrors that
    name both sources if your values contradict the settings.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        agent: AgentSettings,
        location: XComLocation,
        pod_identity: PodIdentity,
        workers: Mapping[str, PodIdentity] = MappingProxyType({}),
        xcom: XComSettings | None = None,
        state_store: StateStoreSettings | None = None,
    ) -> None:
        xcom = XComSettings() if xcom is None else xcom
        variables = {**xcom.variables(location), **(state_store.variables(location) if state_store else {})}
        clouds = CLOUDS if location.cloud is None else [location.cloud]
        check_environment(agent.sources(), clouds, dict.fromkeys(variables, "storage and xcom"))
        own = chart_values.xcom_values(
            namespace=agent.namespace,
            resource_name_prefix=agent.resource_name_prefix,
            accounts=agent.service_accounts(),
            variables=variables,
            pod_identity=pod_identity,
            workers=workers,
            state_store=state_store is not None,
            backend=xcom.backend,
        )
        users, problems = [], []
        for source in agent.sources():
            try:
                values = vendor_values.without_equal(source, own)
            except SettingErrors as error:
                problems += error.lines
            else:
                users.append(chart_values.Source(name=source.name, values=escape_templates(values)))
        if problems:
            raise SettingErrors(problems)
        merged = chart_values.release_values(users, own)
        document, escaped = without_normalization(_with_nulls(merged))
        super().__init__(scope, id_)
        self.local = TerraformLocal(self, "document", document)
        text = Fn.yamlencode(self.local.expression)
        self.yaml = Fn.replace(text, PATTERN, REPLACEMENT) if escaped else text


def _with_nulls(value: Any) -> Any:
    """Nulls kept: CDKTF drops them, and to Helm a null removes one of the chart's defaults."""
    if value is None:
        return Token.null_value()
    if isinstance(value, Mapping):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_nulls(item) for item in value]
    return value
