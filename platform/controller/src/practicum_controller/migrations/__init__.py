"""Revisions of the history's tables. A released revision is never edited: a change is a new one."""
