"""Tick workers: processes apart from the step workers that evaluate schedules and sensors.

worker.py is one such worker, template.py what forks it; runner.py evaluates, limits.py stops what takes too long, and
lost.py is what comes of a process that died of it.
"""
