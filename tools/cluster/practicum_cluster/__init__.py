"""Real Kubernetes clusters for tests, built from pinned Go modules: a control plane, or a cluster with one node."""
