"""Reading a network's files: bounds on what they say, digests of what they hold, running out of memory."""
