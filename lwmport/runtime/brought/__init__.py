"""Values that a device computed, read from the files that vendors' tools leave: one module a tool."""
