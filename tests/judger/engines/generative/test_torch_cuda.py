"""The fused CUDA kernels against the model's own attention; only where there is a CUDA device."""

from __future__ import annotations

import pytest
import torch

from judger.engines.torch.attention import NAME, register
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import prepare
from tests.judger.engines.generative import tiny

LABELS = (301, 302, 303)
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["qwen3", "gemma2", "mistral-window", "gpt-oss"])
def test_cuda_kernels_equal_the_models_own_attention(kind: str, dtype: torch.dtype) -> None:
    register()
    prompter = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"))._prompter
    tree = prompter.tree(tiny.case(6, report_words=300))
    ours, own = (tiny.model(kind, dtype=dtype).to("cuda") for _ in range(2))
    ours.set_attn_implementation(NAME)
    (got,) = Cascade(ours, step_tokens=256, cache_bytes=2**26).log_probs([(tree, range(6))], LABELS)
    for index in range(6):
        with torch.inference_mode():
            logits = own(input_ids=torch.tensor([tree.lone(index)], device="cuda"), use_cache=False).logits[0, -1]
        want = torch.log_softmax(logits.float(), -1)[list(LABELS)].cpu()
        torch.testing.assert_close(got[index], want, atol=TOLERANCE[dtype], rtol=0)
