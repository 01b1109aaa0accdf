"""A connection from the handshake to its close, over a real server and in memory."""
