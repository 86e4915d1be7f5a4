"""From wanted files to the repository: compared, merged, proved in a copy, written all or none."""
