"""Hold of the queries, keys and values of a network's attention. What is done with them is decided
elsewhere."""
