"""Scores of answers and the statistics of scores. Pure: values in, values out."""
