"""A project whose rows are changed at random, and clients that must always hold what a GET of theirs would answer."""
