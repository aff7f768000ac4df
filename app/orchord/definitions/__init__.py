"""What users define: ops, graphs, jobs, assets, resources, config, hooks, schedules and sensors, as pure objects.

Nothing here reads a clock, the environment or a disk. Steps are made in plan/, executed in execution/. Users import
the names from ``orchord``; modules of the product import them from the module that defines them.
"""
