"""The project that the snippets of 2014 name."""
