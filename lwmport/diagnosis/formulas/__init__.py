"""What an operator computes, as numpy formulas in float64: what it would give if it were another one."""
