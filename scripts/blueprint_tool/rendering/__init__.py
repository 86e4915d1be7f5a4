"""From entities to the files of their modules."""
