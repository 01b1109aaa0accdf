"""A small project for pages that keep a socket: a board of notes, streams, a login, and a fragment of HTML."""
