"""A message through Django: request in, the whole middleware and view, response out."""
