"""Files from elsewhere and files that take long to make, kept whole in the cache."""
