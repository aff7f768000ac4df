"""The REST API: Flask routes over the instance, their OpenAPI document, and the server process that carries them.

``app.create_app`` makes the application, ``server.serve`` runs it under gunicorn. Bodies are in models/, one module
of routes per subject in routes/. SQL, launching and user code are elsewhere: everything goes through the instance.
"""
