"""The servers that are compared: the same url to subscribe to, and the same request that publishes."""
