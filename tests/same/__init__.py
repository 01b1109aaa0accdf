"""The same request over HTTP and over the socket gives the same response: one real server, one row a case."""
