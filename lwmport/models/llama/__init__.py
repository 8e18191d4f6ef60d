"""LWM's language models: text, and vision-language."""
