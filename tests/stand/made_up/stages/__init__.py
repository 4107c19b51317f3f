"""What the platform knows of the made-up stages."""
