"""What proves the logs: canonical rows, Merkle seals, anchors, archives that can be checked without a database."""
