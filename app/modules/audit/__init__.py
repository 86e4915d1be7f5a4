"""Reading the logs: what was asked, what was changed, what a record was at any time. Nothing here writes."""
