"""Celery carries out the plan: the app, the canvas, the tasks and the launcher.

Definitions, storage and the API are the orchord package; the clock is orchord_beat.
"""
