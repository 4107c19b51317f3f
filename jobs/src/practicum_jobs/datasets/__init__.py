"""Data sets: built-in generators, readers of files, sources by URI and the content-addressed store.

The package does not depend on models, training or reports.
"""
