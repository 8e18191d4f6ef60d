"""LWM's VQGAN: pictures to codes and back."""
