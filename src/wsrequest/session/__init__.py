"""One live connection: what it holds, what it owes, and what goes on between it and the lifecycle."""
