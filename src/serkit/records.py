"""Records: the JSON files that serkit writes and reads again, as typed objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from serkit.atomic import write_json
from serkit.documents import read_json
from serkit.errors import UserError
from serkit.flags import Flag

M = TypeVar("M", bound=BaseModel)


def _flags(entries: Any) -> Any:
    if not isinstance(entries, list):
        return entries
    return [Flag.read(entry) if isinstance(entry, str) else entry for entry in entries]


#: Flags of a file; older files hold only their texts.
Flags = Annotated[list[Flag], BeforeValidator(_flags)]


class Record(BaseModel):
    """Base of all records.

    Unknown keys are ignored, so that files of a newer serkit are readable. Only fields that were given are written, so
    that the record of an older file is written as it was read.
    """

    model_config = ConfigDict(frozen=True)

    @classmethod
    def parse(cls, document: Any, where: str | Path) -> Self:
        """Check a JSON document; `where` begins the error message.

        Raises:
            UserError: the document is not such a record.
        """
        if not isinstance(document, Mapping):
            raise UserError(f"{where}: must hold a JSON object, got a {type(document).__name__}")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise UserError(f"{where}: {first_problem(error)}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON file; errors are those of `read_json` and `parse`."""
        return cls.parse(read_json(path), path)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def save(self, path: Path) -> None:
        """Write the JSON file completely or not at all."""
        write_json(path, self.to_dict())


def whole(model: M) -> M:
    """Return a model whose defaults count as given, so that a record that holds it is written with them."""
    return type(model).model_validate(model.model_dump())


def first_problem(error: ValidationError) -> str:
    """Return one line about the first wrong key of a document."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    return f"{key}: {message}" if key else message
