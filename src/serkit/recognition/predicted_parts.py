"""Predictions in Parquet: a part for each shard, and the rows of all parts as predictions again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serkit import remote
from serkit.errors import UserError
from serkit.parts import About, Parts
from serkit.recognition.formats import Result
from serkit.recognition.jobs import Failure
from serkit.recognition.model import Channels
from serkit.recognition.prediction import Prediction, csv_columns
from serkit.recognition.recognizer import Recognizer
from serkit.text import encodable, unescaped

#: Name of what these parts hold.
KIND = "predict"
# Number of recordings that a file holds in memory before it writes them.
_ROWS = 4096


@dataclass(frozen=True)
class Predicting:
    """Recognition of the recordings of a shard. Can be pickled.

    Args:
        recognizer: recognizes them.
        channel: channel of every recording.
        jobs: number of processes.
    """

    recognizer: Recognizer
    channel: Channels = None
    jobs: int = 1

    def request(self) -> dict[str, Any]:
        """Return what decides the answers and their form."""
        bundle, voice = self.recognizer.bundle, self.recognizer.voice
        return {
            "model": bundle.name,
            "network": None if bundle.model is None else bundle.model.sha256,
            "channel": self.channel,
            "voice": None if voice is None else repr(sorted(voice.shift().items())),
            "names": list(bundle.outputs),
            "numbers": bool(bundle.numbers),
        }

    def write(self, recordings: Iterable[str], ended: Mapping[str, str], path: Path, about: About) -> About:
        """Recognize recordings and write a part; return what it says of itself.

        Args:
            recordings: paths or URLs.
            ended: reason for each recording that is known to end its process.
            path: file to write.
            about: what was asked for.
        """
        writer = Parquet(path, about)
        if not ended:
            for result in self.recognizer.predict_files(recordings, self.channel, self.jobs):
                writer.write(result)
            return writer.close()
        for recording in recordings:
            if recording in ended:
                writer.write(Failure(remote.name(recording), f"{remote.name(recording)}: {ended[recording]}"))
                continue
            for result in self.recognizer.predict_files([recording], self.channel):
                writer.write(result)
        return writer.close()

    def attempt(self, recording: str) -> None:
        """Recognize one recording, to see whether the process survives."""
        with suppress(UserError):
            list(self.recognizer.predict_files([recording], self.channel))


def schema(about: About) -> Any:
    """Return the columns of a part, as pyarrow's `Schema`."""
    import pyarrow as pa

    request = about.request
    types = {"file": pa.string(), "channel": pa.int32(), "label": pa.string(), "sure": pa.bool_()}
    types |= {"doubt": pa.string(), "error": pa.string()}
    columns = csv_columns(request["names"], bool(request["numbers"]), request["channel"] == "each")
    fields = [(name, types.get(name, pa.float64())) for name in columns]
    return pa.schema([*fields, ("warnings", pa.list_(pa.string()))])


class Parquet:
    """Writes predictions with the columns of CSV, the unrounded numbers, and a list of warnings.

    Args:
        path: file to write.
        about: what was asked for; `names`, `numbers` and `channel` decide the columns.
    """

    def __init__(self, path: Path, about: About) -> None:
        import pyarrow.parquet as parquet

        self._about, self._schema = about, schema(about)
        self._each, self._numbers = about.request["channel"] == "each", bool(about.request["numbers"])
        self._writer = parquet.ParquetWriter(path, self._schema, write_page_checksum=True)
        self._rows: list[dict[str, Any]] = []
        self._seen: tuple[int, int] = (0, 0)
        self._last: str | None = None

    def write(self, result: Result) -> None:
        """Add a prediction, or a recording that failed."""
        failed = isinstance(result, Failure)
        if result.file != self._last or not self._each:
            self._seen = (self._seen[0] + 1, self._seen[1] + failed)
        self._last = result.file
        self._rows.append(_failed(result) if isinstance(result, Failure) else _row(result, self._numbers))
        if len(self._rows) >= _ROWS:
            self._flush()

    def finish(self) -> None:
        """Complete the file."""
        self.close()

    def close(self) -> About:
        """Complete the file; return what it says of itself."""
        self._flush()
        about = replace(self._about, recordings=self._seen[0], failed=self._seen[1])
        self._writer.add_key_value_metadata(about.metadata())
        self._writer.close()
        return about

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def _row(result: Prediction, numbers: bool) -> dict[str, Any]:
    answer = result.values if numbers else {f"p_{name}": value for name, value in result.probabilities.items()}
    row = {"file": encodable(result.file), "channel": result.channel, "duration": result.duration, **answer}
    if not numbers:
        row |= {"label": result.label, "sure": result.sure, "doubt": result.doubt, "confidence": result.confidence}
    return {**row, "error": "", "warnings": list(map(encodable, result.warnings))}


def _failed(result: Failure) -> dict[str, Any]:
    return {"file": encodable(result.file), "error": encodable(result.error), "warnings": []}


def read(parts: Parts, about: About) -> Iterator[Result]:
    """Yield the predictions of all parts, in the order of the recordings, in constant memory.

    Args:
        parts: a folder whose parts all exist.
        about: what they say of themselves, as `Parts.agreed` returns it.

    Raises:
        UserError: a part is damaged.
    """
    names, numbers = about.request["names"], bool(about.request["numbers"])
    for shard in parts.all():
        with parts.opened(shard) as part:
            for batch in part.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    yield _result(row, names, numbers)


def _result(row: Mapping[str, Any], names: Sequence[str], numbers: bool) -> Result:
    file = unescaped(row["file"])
    if row["error"]:
        return Failure(file, unescaped(row["error"]))
    if numbers:
        answer = Prediction(file, "", 0.0, {}, row["duration"], values={name: row[name] for name in names})
    else:
        probabilities = {name: row[f"p_{name}"] for name in names}
        answer = Prediction(file, row["label"], row["confidence"], probabilities, row["duration"])
        answer = replace(answer, sure=row["sure"], doubt=row["doubt"])
    return replace(answer, warnings=tuple(map(unescaped, row["warnings"])), channel=row.get("channel"))
