"""A picture of a stack, drawn from its Terraform JSON."""

from astro_xcom.graph.cards import Card, Stack, cards
from astro_xcom.graph.mermaid import mermaid
from astro_xcom.graph.picture import picture

__all__ = ["Card", "Stack", "cards", "mermaid", "picture"]
