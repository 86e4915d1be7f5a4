"""Authentication: sessions, refresh tokens, and the calls by which clients come in and leave."""
