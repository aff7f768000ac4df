"""Servers and processes that Orchord starts itself, for one machine: Valkey, Postgres, and the whole ``dev`` stack.

Nothing is imported here; each module is imported by who needs it. Real services are reached through orchord.yaml.
"""
