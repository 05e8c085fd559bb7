"""The id of a construct never changes: CDKTF's process is asked for it once. Each question costs half a millisecond."""

from constructs import Construct


def id_of(construct: Construct) -> str:
    """The last part of its path."""
    known = vars(construct)
    if "_astro_xcom_id" not in known:
        known["_astro_xcom_id"] = construct.node.id
    return str(known["_astro_xcom_id"])
