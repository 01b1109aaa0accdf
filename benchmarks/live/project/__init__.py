"""What is read, watched and written."""
