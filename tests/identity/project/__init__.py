"""A project with the packages that people log in with, for a server process of its own."""
