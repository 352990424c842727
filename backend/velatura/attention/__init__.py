"""Access to the queries, keys and values of a network's attention. Other packages decide how to use it."""
