"""The pages for people: landing page, password reset, API documentation, error reference. No table, no privilege."""
