"""Programs: JAX's own jaxprs, traced with abstract weights and partially evaluated."""
