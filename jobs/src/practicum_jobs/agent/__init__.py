"""The program of every stage pod: prepares the run directory, runs one stage, reports to the controller."""
