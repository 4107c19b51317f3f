"""What stages share that measure one lever at a time: order, processes, and comparison with the baseline."""
