"""What all models stand on: requests refuse what they do not know, answers are built from Orchord's own values.

The subjects' models are in the modules beside this one.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchord.events import ErrorInfo


class RequestModel(BaseModel):
    """A body, query or header of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HeaderModel(BaseModel):
    """The headers that a route reads; all others are none of its business."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AnswerModel(BaseModel):
    """A body of an answer, or a part of one."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class ErrorBody(AnswerModel):
    """An error of user code or of the engine."""

    cls_name: str = Field(description="The error's class.")
    message: str
    stack: str = Field(description="The traceback, without the engine's frames.")
    cause: ErrorBody | None = Field(description="The error that this one came from.")

    @classmethod
    def of(cls, error: ErrorInfo | None) -> ErrorBody | None:
        """Return an error as a body."""
        if error is None:
            return None
        return cls(cls_name=error.cls_name, message=error.message, stack=error.stack, cause=cls.of(error.cause))


JsonObject = dict[str, Any]
