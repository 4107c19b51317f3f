"""Pages and charts that a person opens: one self-contained HTML file, English and Chinese, no request to anywhere.

Knows nothing of runs, stages or the course: callers hand over texts, figures and tables.
"""
