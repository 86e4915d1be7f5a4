"""Privileges: the names of what may be allowed, declared by modules or made by the team."""
