"""A project whose tables others write to."""
