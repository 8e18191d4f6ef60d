"""The machinery of rules: what a model file may hold, as tables that say what, why and how to mend it."""
