"""The daemon: what watches runs and mends them when a worker or the broker is lost.

Carrying out steps is orchord_workers.
"""
