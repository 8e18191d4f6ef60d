"""Two structures held side by side: what only one has, what differs, and what that means for a target."""
