"""The command line of the archive of the audit logs."""
