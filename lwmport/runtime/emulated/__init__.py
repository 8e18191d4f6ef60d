"""A device's arithmetic on a CPU: forecasts of what a device makes of a model, never a device's result."""
