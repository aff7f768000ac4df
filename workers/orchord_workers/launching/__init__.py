"""The launcher worker: it starts containers for steps and runs, watches them, and attends to those that end badly.

It holds no user code. What runs inside a container is hosting/; how a platform is spoken to is containers/.
"""
