"""What runs inside a container, or in a process of its own: one step or one run, and a parent that looks after it.

Starting containers and watching them from outside is orchord_workers.launching and orchord_workers.containers.
"""
