"""Model cards: where weights come from, what they were measured to do, and the command that made them."""
