"""A Hugging Face folder: LWM's language models as plain ``LlamaForCausalLM``, for whatever runs a LLaMA."""
