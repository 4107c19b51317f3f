"""What text alone tells: duplicates, overlap, personal data, secrets, encoding, script. No model, no torch."""
