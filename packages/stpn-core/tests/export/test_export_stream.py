"""The stream in numpy against its plain definition, with a model of arithmetic instead of graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.export.manifest import Graphs
from stpn_core.export.stream import Encoded, PromptedStream, prompts_for
from stpn_core.support_policy import SupportPolicy, reach

from ..stream_toys import POLICIES, Online, Window

GRAPHS = Graphs(4, 4, "plain", "head", "encoder", "predictor")


class Arithmetic:
    """Stands for an `ExportedEncoder`: tokens are a frame's value, prompts the list of them."""

    def __init__(self, uses_support: bool = True) -> None:
        self.uses_support = uses_support
        self.embedded: list[float] = []

    def graphs_for(self, size: tuple[int, int]) -> Graphs:
        return GRAPHS

    def network_input(self, pixels: np.ndarray, graphs: Graphs) -> np.ndarray:
        return pixels.astype(np.float64)

    def embed(self, graphs: Graphs, image: np.ndarray) -> np.ndarray:
        self.embedded.append(float(image.mean()))
        return np.array(image.mean())

    def prompts(self, graphs: Graphs, tokens: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array([float(token) for token in tokens])]

    def encode(self, graphs: Graphs, image: np.ndarray, prompts: Any) -> list[Any]:
        return [float(image.mean()), None if prompts is None else prompts[0].tolist()]


def frame(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


def run(
    model: Any, policy: SupportPolicy | None, length: int, cuts: set[int]
) -> list[Encoded[int]]:
    stream: PromptedStream[int] = PromptedStream(model, policy)
    answered = []
    for t in range(length):
        answered += stream.take(t, frame(t), new_shot=t in cuts and t > 0)
    return answered + stream.finish()


@given(
    policy=st.sampled_from(POLICIES),
    length=st.integers(0, 26),
    cuts=st.sets(st.integers(1, 26), max_size=3),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_frame_gets_its_support(policy: SupportPolicy, length: int, cuts: set[int]) -> None:
    model, cuts = Arithmetic(), {cut for cut in cuts if cut < length}
    answered = run(model, policy, length, cuts)
    assert [one.frame for one in answered] == list(range(length))
    for t, one in enumerate(answered):
        first = max((cut for cut in cuts if cut <= t), default=0)
        end = min((cut for cut in cuts if cut > t), default=length)
        support = [float(first + i) for i in policy.indices(t - first, end - first)]
        assert one.maps == [float(t), support or None]
        assert one.has_prompt == bool(support)
    assert len(model.embedded) == len(set(model.embedded))  # each support frame once


def test_answers_come_as_soon_as_the_policy_allows() -> None:
    for policy in (Window(), Online()):
        stream: PromptedStream[int] = PromptedStream(Arithmetic(), policy)  # type: ignore[arg-type]
        answered = [len(stream.take(t, frame(t))) for t in range(20)]
        late = policy.lookahead
        assert answered == [0] * late + [1] * (20 - late)


def test_memory_does_not_grow_with_the_video() -> None:
    stream: PromptedStream[int] = PromptedStream(Arithmetic(), Window())  # type: ignore[arg-type]
    held = []
    for t in range(200):
        stream.take(t, frame(t % 250))
        held.append(len(stream._tokens) + len(stream._waiting))
    assert max(held) == max(held[:60]) <= reach(Window()) + Window().lookahead * 2 + 2


def test_given_prompts_stay_through_cuts_and_without_a_predictor_there_are_none() -> None:
    model: Any = Arithmetic()
    given = prompts_for(model, [frame(3), frame(5)])
    stream: PromptedStream[int] = PromptedStream(model, None, given)
    assert stream.take(0, frame(1))[0].maps == [1.0, [3.0, 5.0]]
    assert stream.take(1, frame(2), new_shot=True)[0].maps == [2.0, [3.0, 5.0]]
    assert prompts_for(model, []) is None
    twin: Any = Arithmetic(uses_support=False)
    assert prompts_for(twin, [frame(3)]) is None
    assert [one.maps[1] for one in run(twin, Window(), 5, set())] == [None] * 5
    assert twin.embedded == []


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_reach_covers_every_support_frame(policy: SupportPolicy) -> None:
    assert all(t - i <= reach(policy) for t in range(300) for i in policy.indices(t, None))
