"""Evidence: digests in a Merkle log, signed checkpoints, witnesses, and the verification of all of it."""
