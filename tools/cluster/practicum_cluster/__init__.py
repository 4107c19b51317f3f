"""A real Kubernetes for tests, from pinned Go modules: a control plane alone, or a whole cluster of one node."""
