module practicum.dev/tools/network-policies

go 1.26.0

require sigs.k8s.io/kube-network-policies v0.8.0
