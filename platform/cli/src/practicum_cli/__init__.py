"""The ``practicum`` command and the local executor: observe a run directory, call the plan, start processes."""
