"""Tables, and triggers on them."""
