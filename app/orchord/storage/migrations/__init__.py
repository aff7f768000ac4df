"""The migrations, one file a revision in versions/. They never import today's schema: each is a fact of its time.

Running them is storage/migrate.py.
"""
