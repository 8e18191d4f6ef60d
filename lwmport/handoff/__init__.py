"""The handoff to a vendor: one zip with models, golden samples and a checker, and the strict reader of it."""
