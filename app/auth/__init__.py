"""The security kernel: is this credential genuine, who is it, may it? No tables, no endpoints, no SQL."""
