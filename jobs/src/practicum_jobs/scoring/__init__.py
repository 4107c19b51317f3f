"""Scores of answers and the statistics of scores. Pure."""
