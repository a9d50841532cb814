"""The schema for editors: `python -m pop3spec.scenario > scenarios/scenario.schema.json`."""

from pop3spec.scenario.loading import schema_text

print(schema_text(), end="")
