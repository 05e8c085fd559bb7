"""How many, how long: the clouds' own limits, each with its source and when that was read."""

from typing import NamedTuple


class Limit(NamedTuple):
    """A cloud's limit."""

    most: int
    source: str
    read: str


TRUST_POLICY = Limit(2048, "IAM user guide, IAM and STS quotas: role trust policy length, default", "2026-11")
RAISED_TRUST_POLICY = Limit(
    8192, "the same, raised on request (4,096 until May 2026: pytorch/test-infra#5825)", "2026-11"
)
AWS_TAGS = Limit(50, "IAM user guide, Tags for IAM resources; S3 user guide, Using cost allocation tags", "2026-11")
AZURE_TAGS = Limit(50, "Azure Resource Manager, Use tags to organize your resources", "2026-11")
GOOGLE_LABELS = Limit(64, "Google Cloud, Requirements for labels", "2026-11")
AZURE_PREFIXES = Limit(10, "Azure Storage, Lifecycle management policies: prefixes of a rule", "2026-11")
AZURE_IP_RULES = Limit(400, "Azure Storage, Configure network security: IP network rules of an account", "2026-11")
OBJECT_KEY = Limit(1024, "S3, Blob Storage and Cloud Storage: length of an object's name", "2026-11")
AIRFLOW_CONNECTION_ID = Limit(250, "Airflow 3, column conn_id", "2026-11")
AZURE_CREDENTIALS = Limit(20, "Microsoft Entra, Considerations for federated identity credentials", "2026-11")
