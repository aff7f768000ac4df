"""From definitions to steps: the plan as data, the compiler that makes it, and the run's state machine.

Everything here is pure: no clock, no randomness, no IO. Executing a step is execution/; chords are orchord_workers.
"""
