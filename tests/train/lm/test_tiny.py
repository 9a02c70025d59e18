"""What a model that has learned nothing begins with."""

from __future__ import annotations

import pytest
import torch

from train.lm.faults import Fault
from train.lm.tiny import TinySizes, make_model

DEFAULT, NARROW = TinySizes(), TinySizes(hidden=64, layers=2, heads=2, intermediate=64)


@pytest.mark.parametrize("length", [30, 400])
def test_the_first_layers_heads_look_one_two_and_three_tokens_back_whatever_stands_there(tokenizer, length: int):
    model = make_model(tokenizer, DEFAULT).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(len(tokenizer), (2, length), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        first = model(ids, output_attentions=True).attentions[0]
    for head in range(3):
        back = first[:, head].diagonal(-(head + 1), dim1=-2, dim2=-1)[..., head + 1 :]
        assert back.min() > 0.95


@pytest.mark.parametrize("sizes", [DEFAULT, NARROW], ids=["default", "narrow"])
@pytest.mark.parametrize("apart", [10, 300])
def test_what_was_said_is_said_again_before_any_training(tokenizer, sizes: TinySizes, apart: int):
    model = make_model(tokenizer, sizes).eval()
    draw = torch.Generator().manual_seed(2)
    words = torch.randperm(len(tokenizer), generator=draw)
    said, others = words[:40], words[40:]
    between = others[torch.randint(len(others), (apart,), generator=draw)]
    ids = torch.cat([said, between, said])
    with torch.inference_mode():
        next_ids = model(ids[None]).logits[0].argmax(-1)
    again = len(said) + apart + 2  # two words of what was said tell where it goes on
    assert (next_ids[again:-1] == ids[again + 1 :]).float().mean() > 0.9


def test_keys_that_begin_alike_are_told_apart_by_two_words(tokenizer):
    model = make_model(tokenizer, DEFAULT).eval()
    registry, blog, dash, one, other, *rest = torch.randperm(len(tokenizer))[:40].tolist()
    said = [registry, dash, one, *rest[:15], blog, dash, other, *rest[15:]]
    for source, page in ((registry, one), (blog, other)):
        with torch.inference_mode():
            logits = model(torch.tensor([[*said, source, dash]])).logits
        assert logits[0, -1].argmax() == page


@pytest.mark.parametrize("sizes", [{"layers": 1}, {"heads": 1}, {"hidden": 32}, {"hidden": 100}])
def test_sizes_without_room_for_heads_that_look_up_are_refused(sizes: dict[str, int]):
    with pytest.raises(Fault, match="at least two layers and two heads are needed"):
        TinySizes(**sizes)
