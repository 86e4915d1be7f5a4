"""What runs inside of the staged copy: the migration, and what the modules promise."""
