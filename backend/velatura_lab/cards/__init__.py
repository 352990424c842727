"""Model cards: the origin of weights, their figures, and the commands that made them."""
