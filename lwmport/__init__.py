"""Port LWM (Large World Model) from JAX to other runtimes, and prove that the numbers hold."""

__version__ = "0.1.0"
