"""The page of a comparison: records, a drawing of the modules, and what is written."""
