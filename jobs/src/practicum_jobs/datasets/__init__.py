"""Decides which rows there are: built-in generators, readers of files, sources by URI and the content-addressed store.

Knows rows, files and hashes; refuses to know models, training and reports.
"""
