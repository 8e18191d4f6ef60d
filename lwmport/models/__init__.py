"""The models as flax modules with LWM's own parameter names, and the components cut from them."""
