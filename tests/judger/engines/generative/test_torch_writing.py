"""The form that a written reason is held to, token by token; and the tokens that end a turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from judger.engines.base import Tier
from judger.engines.explained import Explanation, parse_reply
from judger.engines.tokens import Prompter, end_of_turn
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import end_ids, prepare
from judger.engines.torch.writing import ReasonWriter
from judger.types import Explain, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny

TOKENIZER = tiny.tokenizer()
START, END = TOKENIZER.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])


@pytest.fixture(scope="module")
def writer() -> ReasonWriter:
    return ReasonWriter(Prompter(tiny.tokenizer(), name="tiny"), frozenset({END, START}))


def write(writer: ReasonWriter, tokens: Sequence[int], most: int = 2000) -> str:
    """What comes of a model that would write these tokens, and then goes on with the last one."""
    written: tuple[int, ...] = ()
    at = 0
    while len(written) < most:
        last = writer.guide((*written, tokens[min(at, len(tokens) - 1)]))
        at += 1
        if last is None:
            return writer.text((*written, tokens[min(at, len(tokens)) - 1]))
        written += tuple(last)
    return writer.text(written)


def ids(writer: ReasonWriter, *parts: str | int) -> list[int]:
    found: list[int] = []
    for part in parts:
        found += [part] if isinstance(part, int) else writer.prompter.plain(part)
    return found


@pytest.mark.parametrize(
    ("parts", "reason", "quote"),
    [
        ((" The report says so.\n", " the report names\n"), "The report says so.", "the report names"),
        ((" The report says so.", END, " the report names", END), "The report says so.", "the report names"),
        ((" So.", END, " none", END), "So.", ""),
        ((" So.\n", "\n"), "So.", ""),
        ((" So.", END, END), "So.", ""),
        (("\n\n So.\n", " the report\n"), "So.", "the report"),
        ((" So.", START, "user\nAnd what of wind?"), "So.", "user"),
        ((" Quote: it says\n", " names\n"), "Quote: it says", "names"),
        ((" the wind" * 200, "\n", " cost" * 200, "\n"), None, None),
    ],
)
def test_a_line_ends_with_its_break_or_with_the_turn(
    writer: ReasonWriter, parts: tuple[str | int, ...], reason: str | None, quote: str | None
) -> None:
    text = write(writer, ids(writer, *parts))
    found = parse_reply(text)
    assert isinstance(found, Explanation)
    if reason is not None:
        assert (found.reason, found.quote) == (reason, quote)
    else:  # a model that would not end is held to the next line
        assert len(found.reason) <= 620
        assert len(found.quote) <= 420
    assert text.count("\n") == 1


@pytest.mark.parametrize("parts", [(END,), ("\n", END), (" ", END), ("\n\n\n",)])
def test_a_model_that_says_nothing_gives_no_reason(writer: ReasonWriter, parts: tuple[str | int, ...]) -> None:
    found = parse_reply(write(writer, ids(writer, *parts), 40))
    assert isinstance(found, Unscored)
    assert found.reason is Reason.UNPARSABLE


def test_a_token_that_holds_the_end_of_a_line_and_more_is_read_up_to_it(writer: ReasonWriter) -> None:
    class Merged:
        """A tokenizer with one token for " so.\\nThen"."""

        def decode(self, ids: Sequence[int]) -> str:
            return "".join({1: " It", 2: " says", 3: " so.\nThen"}.get(i, f"[{i}]") for i in ids)

        def plain(self, text: str) -> tuple[int, ...]:
            self.asked = text
            return (9,)

    merged: Any = Merged()
    own = ReasonWriter(merged, frozenset())
    assert own.guide((1, 2)) == (2,)
    assert own.guide((1, 2, 3)) == (9,)
    assert merged.asked == " so.\nQuote:"


def test_a_random_model_writes_a_reason_that_is_read(writer: ReasonWriter) -> None:
    """Once it was none of them: nothing made it write the second line."""
    engine = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), reason_tokens=700)
    case = tiny.case(3)
    (outcomes,) = engine.run([engine.plan(case, Tier(explain=Explain.ALWAYS))])
    for outcome in outcomes:
        assert isinstance(outcome.result, Probabilities), outcome.result
        assert outcome.rationale


def test_a_turn_ends_where_the_template_says_so_not_where_the_tokenizer_does() -> None:
    tokenizer = tiny.tokenizer()
    assert end_of_turn(tokenizer) == END
    tokenizer.eos_token = "<|im_start|>"  # as a conversion from GGUF leaves it
    assert end_of_turn(tokenizer) == END
    assert end_of_turn(tiny.tokenizer(chat_template=None)) == END
    no_answers = "{{ raise_exception('no') if messages|length > 1 else messages[0]['content'] }}"
    assert end_of_turn(tiny.tokenizer(chat_template=no_answers)) == END
    plain_words = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    assert end_of_turn(tiny.tokenizer(chat_template=plain_words)) == END


def test_the_models_own_end_tokens_are_all_of_them() -> None:
    model = tiny.model("qwen3")
    assert end_ids(model) == {1}
    model.generation_config.eos_token_id = [5, 7]
    assert end_ids(model) == {1, 5, 7}
    model.generation_config = None
    model.config.eos_token_id = None
    assert end_ids(model) == set()
