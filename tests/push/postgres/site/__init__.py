"""A project whose data and events are in one PostgreSQL database, and whose requests are transactions."""
