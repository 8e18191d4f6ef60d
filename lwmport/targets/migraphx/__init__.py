"""AMD GPUs and Hygon DCUs, compiled for by MIGraphX."""
