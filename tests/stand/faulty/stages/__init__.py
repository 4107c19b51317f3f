"""What the platform knows of the stage that serves the fake engine."""
