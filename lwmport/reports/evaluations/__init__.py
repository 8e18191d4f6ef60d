"""What evaluations of models found: records, and pages of those that have one."""
