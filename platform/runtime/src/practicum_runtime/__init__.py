"""Processes of steps: what the local executor and the agent of a pod share. Knows no stage and no Kubernetes."""
