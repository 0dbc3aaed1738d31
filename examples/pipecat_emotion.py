"""A processor for Pipecat: the emotion of each turn of the user, beside the transcript.

Place it behind the speech recognizer of a pipeline, so that it sees the sound, the turns and their texts:

    Pipeline([transport.input(), stt, EmotionProcessor(serkit.load()), context, llm, tts, transport.output()])

It needs `pip install pipecat-ai serkit`. Every frame passes unchanged; a `TurnEmotionFrame` follows each turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from pipecat.frames.frames import (
    DataFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import serkit


@dataclass
class TurnEmotionFrame(DataFrame):
    """The emotion of a turn, and what was said in it.

    Args:
        text: transcript of the turn; empty if there is none yet.
        label: emotion.
        confidence: its probability.
        sure: whether the recognizer is sure.
        probabilities: probability of each emotion.
        seconds: duration of the turn.
    """

    text: str
    label: str
    confidence: float
    sure: bool
    probabilities: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class EmotionProcessor(FrameProcessor):
    """Recognizes the emotion of each turn once it ends; the pipeline does not wait for it.

    Args:
        recognizer: a recognizer of serkit.
        before: sound before the detected start of a turn that belongs to it, in s: detectors need some time.
        longest: longest turn in s; of a longer one, the end counts.
        patience: time in s to wait for the transcript of a turn.
    """

    def __init__(
        self, recognizer: serkit.Recognizer, before: float = 0.3, longest: float = 30.0, patience: float = 2.0
    ) -> None:
        super().__init__()
        self._recognizer, self._before, self._longest, self._patience = recognizer, before, longest, patience
        self._sound: deque[np.ndarray] = deque()
        self._rate = 16000
        self._speaking = False
        self._texts: list[str] = []
        self._said = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._hear(frame)
        elif isinstance(frame, UserStartedSpeakingFrame):
            self._speaking, self._texts, self._said = True, [], asyncio.Event()
        elif isinstance(frame, TranscriptionFrame):
            self._texts.append(frame.text)
            self._said.set()
        elif isinstance(frame, UserStoppedSpeakingFrame) and self._speaking:
            self._speaking = False
            turn = np.concatenate(self._sound) if self._sound else np.empty(0, dtype=np.int16)
            task = asyncio.create_task(self._answer(turn, self._rate, self._texts, self._said))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Wait for the last turn."""
        await asyncio.gather(*self._tasks)
        await super().cleanup()

    def _hear(self, frame: InputAudioRawFrame) -> None:
        """Keep the sound of the turn, or the last moments before one."""
        samples = np.frombuffer(frame.audio, dtype=np.int16).reshape(-1, frame.num_channels)
        self._rate = frame.sample_rate
        self._sound.append(samples.mean(axis=1).astype(np.int16))
        most = (self._longest if self._speaking else self._before) * self._rate
        while sum(map(len, self._sound)) - len(self._sound[0]) >= most:
            self._sound.popleft()

    async def _answer(self, turn: np.ndarray, rate: int, texts: list[str], said: asyncio.Event) -> None:
        if not len(turn):
            return
        # The network runs in a thread, so that the sound keeps flowing.
        found = await asyncio.to_thread(self._recognizer.predict_signal, turn, rate)
        with contextlib.suppress(TimeoutError):  # the turn may have no transcript
            await asyncio.wait_for(said.wait(), self._patience)
        await self.push_frame(
            TurnEmotionFrame(
                " ".join(texts), found.label, found.confidence, found.sure, found.probabilities, len(turn) / rate
            )
        )
