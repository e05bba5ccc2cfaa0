"""Everything that can be configured: one frozen pydantic class per kind, without numerics or torch."""
