"""Users: accounts, their profile, their roles, block and deletion."""
