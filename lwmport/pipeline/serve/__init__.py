"""Serving: an assembled model answers requests in OpenAI's form, one at a time."""
