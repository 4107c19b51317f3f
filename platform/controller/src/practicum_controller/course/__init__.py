"""Decides what a course is made of on a cluster, and keeps it so."""
