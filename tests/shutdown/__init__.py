"""What becomes of connections when a server stops, and of silent ones while it runs: each server in a process."""
