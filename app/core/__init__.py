"""Machinery without a domain: settings, database, errors, logging, cache. Imports nothing of ours."""
