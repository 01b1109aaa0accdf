"""The commands; each is named as its module."""
