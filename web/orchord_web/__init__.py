"""The console in the browser: a client of the public REST API and of nothing else.

The API itself is orchord.api.
"""
