"""Items: things that belong to their creator. The model of a plain domain module."""
