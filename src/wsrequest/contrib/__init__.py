"""What connects the package with others. Nothing here is loaded unless the project asks for it."""
