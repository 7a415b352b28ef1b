"""What a model says is told in batches, without secrets, and is void when its call is tried again."""

import asyncio
from collections.abc import Iterable

import anyio
import pytest

from hypercode.domain.delta import Delta
from hypercode.domain.errors import Unavailable
from hypercode.runs import speech
from hypercode.runs.speech import Speech
from hypercode.tools.redaction import Redactor, forms

pytestmark = pytest.mark.anyio
VALUE = "c4nary/S3cret+with space&more~zzz"


class Heard:
    """What a watcher makes of the deltas that it gets."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.text = ""
        self._attempt = ""
        self._came = asyncio.Condition()

    async def tell(self, delta: Delta) -> None:
        async with self._came:
            self.deltas.append(delta)
            if delta.attempt != self._attempt:
                self._attempt, self.text = delta.attempt, ""
            assert delta.at == len(self.text)
            self.text += delta.text
            self._came.notify_all()

    async def until(self, text: str) -> None:
        async with self._came:
            with anyio.fail_after(10):
                await self._came.wait_for(lambda: self.text == text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "BATCH_S", 0.005)


async def test_words_are_joined_to_batches() -> None:
    heard = Heard()
    async with Speech("run_1", 3, heard.tell) as said:
        for word in ("one", " two", " three"):
            said.hear(word)
        await heard.until("one two three")
        said.hear(" fo\ud800ur")
        await heard.until("one two three fo?ur")
    assert [(delta.turn, delta.at, delta.text) for delta in heard.deltas] == [
        (3, 0, "one two three"),
        (3, 13, " fo?ur"),
    ]


async def test_what_comes_whole_at_once_is_not_told_at_all() -> None:
    heard = Heard()
    async with Speech("run_1", 1, heard.tell) as said:
        said.hear("The whole reply.")
    await anyio.lowlevel.checkpoint()
    assert heard.deltas == []


async def test_another_try_voids_what_was_told() -> None:
    heard = Heard()
    async with Speech("run_1", 1, heard.tell) as said:
        said.hear("I begin")
        await heard.until("I begin")
        await said.again()
        assert heard.text == ""
        said.hear("I begin again")
        await heard.until("I begin again")
    first, void, second = heard.deltas
    assert (void.at, void.text, second.at) == (0, "", 0)
    assert first.attempt != void.attempt == second.attempt


async def test_where_nobody_says_what_may_be_shown_nothing_is() -> None:
    heard, asked = Heard(), asyncio.Event()

    async def away(_: str) -> str:
        asked.set()
        raise Unavailable("away", hint="")

    async with Speech("run_1", 1, heard.tell, away) as said:
        said.hear(VALUE)
        await asked.wait()
    assert heard.deltas == []


def leaked(text: str) -> set[str]:
    return {form for form in forms(VALUE) if form in text}


def broken(form: str) -> str:
    return "\n  ".join(form[at : at + 10] for at in range(0, len(form), 10))


def cuts(text: str) -> Iterable[list[str]]:
    """A text in two pieces, at each place; and letter by letter."""
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))
    yield list(text)


@pytest.mark.parametrize("shown", [*sorted(forms(VALUE)), broken(VALUE.encode().hex())])
async def test_a_value_in_pieces_is_told_in_no_form_and_no_part(shown: str) -> None:
    redactor = Redactor([("CANARY", VALUE)])
    text = f"The key is {shown}, I think."
    for pieces in cuts(text):
        told, said = "", ""
        for piece in pieces:
            said += piece
            now = redactor.growing(said)
            # Whatever a watcher saw at any moment: no more than the words around the value.
            assert now.startswith("The key is "[: len(now)])
            assert now[11:].startswith("[secret CANARY]"[: len(now) - 11]) or len(now) < 11, (now, pieces)
            told = now if now.startswith(told) else told + now
        assert leaked(told) == set()


async def test_the_speech_of_a_run_with_a_secret_tells_all_but_the_value() -> None:
    heard, redactor = Heard(), Redactor([("CANARY", VALUE)])

    async def redact(said: str) -> str:
        return redactor.growing(said)

    async with Speech("run_1", 1, heard.tell, redact) as said:
        said.hear(f"It is {VALUE[:9]}")
        await heard.until("It is ")
        said.hear(f"{VALUE[9:]} and that is that.")
        await heard.until("It is [secret CANARY] and that is that.")
    assert not any(VALUE[:4] in delta.text for delta in heard.deltas)
