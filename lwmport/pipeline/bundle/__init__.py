"""The zip for a vendor's engineer: made from a folder that was converted, and verified."""
