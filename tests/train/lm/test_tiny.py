"""What a model that has learned nothing begins with."""

from __future__ import annotations

import pytest
import torch

from train.lm.tiny import TinySizes, make_model


@pytest.mark.parametrize("length", [30, 400])
def test_the_first_layers_heads_look_one_two_and_three_tokens_back_whatever_stands_there(tokenizer, length: int):
    model = make_model(tokenizer, TinySizes()).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(0, len(tokenizer), (2, length), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        first = model(ids, output_attentions=True).attentions[0]
    for head in range(3):
        back = first[:, head].diagonal(-(head + 1), dim1=-2, dim2=-1)
        assert back.mean() > 0.7
