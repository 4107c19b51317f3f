"""HTML pages and SVG charts: one self-contained file in English and Chinese that loads nothing from the network.

The package does not depend on runs, stages or the course; callers pass texts, numbers and tables.
"""
