"""The change log: what was written, by whom, before and after. Taken down in the same transaction as the change."""
