"""Any GET stays up to date: what it read, what commits write, and running it again where the two meet."""
