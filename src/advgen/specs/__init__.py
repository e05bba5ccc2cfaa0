"""What can be configured: one frozen pydantic class per thing, by family. No numerics, no torch."""
