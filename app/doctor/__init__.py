"""Looks the program over and tells in words what is wrong, also where it would not start."""
