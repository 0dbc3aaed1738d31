"""The processor of `examples/pipecat_emotion.py` in a pipeline of Pipecat, with a recorded conversation."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pipecat")

from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from serkit.recognition import load
from voices import scene

#: Turns of `voices.scene` in s, as a detector finds them: late at the start.
TURNS = [(0.7, 2.2, "good morning"), (3.2, 3.9, ""), (4.3, 5.6, "good bye")]


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    import pipecat_emotion

    return pipecat_emotion


def conversation(samples, late):
    """Frames of 20 ms, the starts and ends of turns, and their transcripts before or after the end."""
    frames = []
    for start in range(0, len(samples) - 320, 320):
        time = start / 16000
        for begin, end, text in TURNS:
            if begin <= time < begin + 0.02:
                frames.append(UserStartedSpeakingFrame())
            if end <= time < end + 0.02:
                said = [TranscriptionFrame(text, "user", "now")] if text else []
                stop = UserStoppedSpeakingFrame()
                frames += [stop, *said, SleepFrame(0.3)] if late else [*said, stop, SleepFrame(0.3)]
        frames.append(InputAudioRawFrame(samples[start : start + 320].tobytes(), 16000, 1))
    return frames


@pytest.mark.parametrize("late", [False, True])
def test_each_turn_has_an_emotion_beside_its_text(example, shelf, late):
    recognizer = load(shelf / "toy")
    samples = np.round(32767 * scene()).astype(np.int16)

    async def run():
        processor = example.EmotionProcessor(recognizer, patience=0.2)
        return await run_test(processor, frames_to_send=conversation(samples, late), expected_down_frames=None)

    down, _ = asyncio.run(run())
    found = [frame for frame in down if isinstance(frame, example.TurnEmotionFrame)]
    assert [one.text for one in found] == [text for _, _, text in TURNS]
    for one, (start, end, _) in zip(found, TURNS, strict=True):
        assert one.seconds == pytest.approx(end - start + 0.3, abs=0.05)
        first = round((end - one.seconds) * 16000)
        expected = recognizer.predict_signal(samples[first : first + round(one.seconds * 16000)], 16000)
        assert one.label == expected.label
        assert one.confidence == pytest.approx(expected.confidence, abs=0.02)
    assert sum(isinstance(frame, InputAudioRawFrame) for frame in down) == len(range(0, len(samples) - 320, 320))
