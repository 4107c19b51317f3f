"""Courses on a cluster: what they are made of, and how that is kept."""
