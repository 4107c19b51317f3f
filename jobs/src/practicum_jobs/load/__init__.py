"""What load tests share: arrivals, client processes, statistics of latencies, the knee and the first bottleneck."""
