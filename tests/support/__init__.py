"""What several suites share: servers, clients, and a connection that lives in memory."""
