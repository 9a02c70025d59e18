"""The built-in judge: one pass of a small encoder over the report, then a trained reader for each criterion.

The report is encoded once, sentence by sentence, whatever the number of criteria; so the cost grows with the sum of
report and criteria, not with their product. See `features` for the evidence and `model` for the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from judger.engines.base import Capabilities, Identity, Outcome, Plan, Tier
from judger.engines.code import code_digest, versions
from judger.engines.mini.checkpoint import WEIGHTS, Model, load
from judger.engines.mini.compute import Pair, encode, examine_all, read
from judger.engines.mini.features import Criterion, Report, make_criterion, make_report
from judger.engines.mini.form import form_criterion, judge_form
from judger.engines.mini.language import language_fault
from judger.engines.mini.signals import form_signals
from judger.engines.mini.text import Tokens, tokenize
from judger.errors import EngineError, InvalidRequest
from judger.types import Case, Probabilities, Reason, Span, Unscored

LIBRARIES = ("torch", "tokenizers", "numpy", "py3langid")
"""Those whose arithmetic, tables or splitting of words a verdict depends on."""


@dataclass(slots=True)
class Payload:
    """A planned case: its tokens."""

    report: Tokens
    criteria: list[Tokens]


class MiniEngine:
    """The built-in judge behind the Engine protocol. `plan` is safe in any thread; `run` belongs to one."""

    def __init__(self, model: Model, *, device: str = "cpu") -> None:
        self.model = model
        self.device = device
        self.calibration = model.calibration
        self.capabilities = Capabilities(languages=("en",))
        self.identity = Identity(
            engine="mini",
            model=str(model.config.get("name", "mini")),
            engine_version=versions(*LIBRARIES),
            weights=model.digests["model.safetensors"],
            tokenizer=model.digests["tokenizer.json"],
            prompt=model.digests["config.json"],
            code=code_digest("engines/mini"),
            device=torch.device(device).type,
        )

    @classmethod
    def load(cls, model: str | None = None, *, device: str = "auto", threads: int | None = None) -> MiniEngine:
        """The shipped weights, or those of a folder that `judger-train judge` wrote.

        Raises:
            InvalidRequest: no such folder, or no such device.
            EngineError: the files can't be read.
        """
        folder = WEIGHTS if model is None else Path(model)
        if not (folder / "config.json").is_file():
            raise InvalidRequest("model", f"{folder} holds no weights of the built-in judge (no config.json)")
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidRequest("device", f"{device} was asked for, and this machine has no CUDA device")
        try:
            return cls(load(folder, device), device=device)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"the weights in {folder} can't be read: {error}") from error

    def plan(self, case: Case, tier: Tier) -> Plan:
        report = tokenize(case.report, self.model.tokenizer)
        criteria = [tokenize(criterion.text, self.model.tokenizer) for criterion in case.criteria]
        fault = language_fault(case.language, case.report)
        refused = {}
        for position, tokens in enumerate(criteria):
            if fault is not None:
                refused[position] = Unscored(Reason.UNSUPPORTED_LANGUAGE, fault)
            elif not len(report):
                refused[position] = Unscored(Reason.UNPARSABLE, "the report holds no readable words")
            elif not len(tokens):
                refused[position] = Unscored(Reason.UNPARSABLE, "the criterion holds no readable words")
        cost = sum(len(tokens) for position, tokens in enumerate(criteria) if position not in refused)
        if len(refused) < len(criteria):
            cost += len(report)
        return Plan(case=case, tier=tier, tokens=max(cost, 1), payload=Payload(report, criteria), refused=refused)

    @torch.inference_mode()
    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        open_ = [[i for i in range(len(plan.case.criteria)) if i not in plan.refused] for plan in plans]
        texts: list[Tokens] = []
        for plan, positions in zip(plans, open_, strict=True):
            payload = _payload(plan)
            if positions:
                texts += [payload.report, *(payload.criteria[i] for i in positions)]
        states = iter(encode(self.model.encoder, texts, self.device))
        pairs: list[Pair] = []
        for plan, positions in zip(plans, open_, strict=True):
            if not positions:
                continue
            payload, mean, idf = _payload(plan), self.model.mean, self.model.idf
            report = make_report(plan.case.report, payload.report, next(states), mean)
            criteria = [
                make_criterion(plan.case.criteria[i].text, payload.criteria[i], next(states), mean, idf)
                for i in positions
            ]
            found = examine_all(report, criteria, idf)
            pairs += [Pair(report, criterion, evidence) for criterion, evidence in zip(criteria, found, strict=True)]
        read_out = iter(
            zip(pairs, read(self.model.readers, self.model.forest, pairs, self.device).tolist(), strict=True)
        )
        outcomes = []
        for plan, positions in zip(plans, open_, strict=True):
            scored = {i: self._outcome(plan, i, *next(read_out)) for i in positions}
            refused = {i: Outcome(result=unscored) for i, unscored in plan.refused.items()}
            outcomes.append([(scored | refused)[i] for i in range(len(plan.case.criteria))])
        return outcomes

    def close(self) -> None:
        """Nothing is held but memory."""

    def _outcome(self, plan: Plan, position: int, pair: Pair, p: list[float]) -> Outcome:
        tokens = len(pair.report.tokens)
        result = Probabilities(*p)
        spans: tuple[Span, ...] = (evidence_span(pair.report, pair.evidence.units[0]),)
        demand = form_criterion(plan.case.criteria[position].text)
        sure = judge_form(demand, form_signals(plan.case.report)) if demand is not None else None
        if sure is not None:  # counted, not read
            result, spans = Probabilities(1.0 - sure, 0.0, sure), ()
        return Outcome(
            result=result,
            evidence=spans,
            prompt_tokens=tokens + len(pair.criterion.tokens),
            shared_tokens=tokens,
        )


def evidence_span(report: Report, unit: int) -> Span:
    """The characters of a unit of the report."""
    start, end = report.tokens.units[unit]
    return Span(int(report.tokens.spans[start, 0]), int(report.tokens.spans[end - 1, 1]))


def _payload(plan: Plan) -> Payload:
    assert isinstance(plan.payload, Payload)
    return plan.payload


__all__ = ["Criterion", "MiniEngine"]
