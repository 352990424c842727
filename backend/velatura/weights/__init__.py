"""A network's files: bounds on their content, digests; the choice of a device; lack of memory."""
