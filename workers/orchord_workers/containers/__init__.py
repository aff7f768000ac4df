"""Steps and runs in containers: what is started, how it is watched, and the platforms that can do it.

The port that a platform implements is platform.py; docker.py, kubernetes.py and ecs.py are the platforms. Who starts
and watches is orchord_workers.launching; what runs inside a container is orchord_workers.hosting.
"""
