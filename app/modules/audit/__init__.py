"""Reading and proving the logs: what was asked, what was changed, what a record was at any time; and legal holds."""
