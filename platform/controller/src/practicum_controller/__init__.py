"""The controller: observe the cluster, call core's plan, apply; and take in what stages report.

Only modules at the edge know a client: ``client`` and ``leader`` the API server, ``ingest`` HTTP, and ``history``
the database.
"""
