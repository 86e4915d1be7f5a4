"""The pages for people: landing page, API documentation, error reference. No table, no privilege."""
