"""The command `astro-xcom`. Each command has a module of its own; what it does is in the package above."""
