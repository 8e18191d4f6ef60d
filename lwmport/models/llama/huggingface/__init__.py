"""LWM's language models as Hugging Face has them: one ``LlamaForCausalLM``."""
