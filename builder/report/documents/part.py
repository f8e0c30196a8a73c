"""What every document is made of: parts that know their keys, texts that are clean, and schemas made of them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from builder.untrusted.text import clean_line, clean_text

CleanText = Annotated[str, AfterValidator(clean_text)]
"""A text that may quote what came from outside: an index, a package, an exception. Every report is made of these."""

CleanLine = Annotated[str, AfterValidator(clean_line)]
"""The same of what is shown in one line, such as a name."""


class Part(BaseModel):
    """A part of a document: unknown keys are an error."""

    # A command builds the models of its own document alone: there are dozens, and each takes milliseconds.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, defer_build=True)


def make_schema(model: type[BaseModel]) -> str:
    """Return the JSON Schema of a document's model, as text."""
    schema_document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema_document, indent=1) + "\n"
