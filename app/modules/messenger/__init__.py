"""Messenger: threads of several people. The model of a domain that is more than CRUD: members, order, live events."""
