"""Roles: bundles of privileges and modules that users hold."""
