"""The units of the course, one module each, as data."""
