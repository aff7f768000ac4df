"""The routes of the REST API, one module per subject; each makes a ``routes`` object that app.py registers.

A view is thin: it takes checked models, asks the instance, and returns a model of an answer.
"""
