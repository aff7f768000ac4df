"""The bodies and queries of the REST API as pydantic models, one module per subject; the OpenAPI document shows them.

Models only hold and convert. Which instance they are read from is routes/.
"""
