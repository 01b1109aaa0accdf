"""What carries the frames."""
