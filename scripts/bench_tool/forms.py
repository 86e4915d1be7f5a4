"""The forms in which the audit suite measures the program, and where it is told to take one."""

WHOLE, NO_ACCESS, NO_CHANGES = "whole", "without_access_rows", "without_change_rows"
CHANGE = "/bench/form/"  # POST here, with a form's name behind it, when nothing else is under way
