"""The built-in judge: one pass of a small encoder over the report, then a trained reader for each criterion.

The report is encoded once, sentence by sentence, whatever the number of criteria. For each criterion the sentences that
bear on it are chosen (`selection`), and the reader reads them beside it (`passage`, `model`); trees and a regression
read the figures (`figures`), and all are weighed together (`mix`). What is only about form or can be counted otherwise
is not read (`known`); what is not there at all is not met (`needs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from judger.engines.base import Capabilities, Identity, Outcome, Plan, Tier
from judger.engines.code import code_digest, versions
from judger.engines.mini.checkpoint import Model, load_from
from judger.engines.mini.compute import encode, examine_all, read
from judger.engines.mini.counts import Counts
from judger.engines.mini.denial import stance
from judger.engines.mini.facts import Facts
from judger.engines.mini.features import Criterion, Evidence, Report, make_criterion, make_report
from judger.engines.mini.figures import figures
from judger.engines.mini.judgeable import describe
from judger.engines.mini.known import known
from judger.engines.mini.language import language_fault
from judger.engines.mini.needs import capped
from judger.engines.mini.passage import Pages, Reading, reading
from judger.engines.mini.quote import Quotable
from judger.engines.mini.signals import FormSignals, form_signals
from judger.engines.mini.text import Floats, Tokens, tokenize, unit_spans
from judger.engines.mini.turn import Asked, as_stated, asked
from judger.errors import InvalidRequest
from judger.types import Case, Probabilities, Reason, Unscored
from judger.verdict import p_satisfied

LIBRARIES = ("torch", "tokenizers", "numpy", "py3langid")
"""Those whose arithmetic, tables or splitting of words a verdict depends on."""


@dataclass(slots=True)
class Payload:
    """A planned case: its tokens."""

    report: Tokens
    asked: list[Asked]
    criteria: list[Tokens]


@dataclass(slots=True)
class Pair:
    """One criterion in one report, ready to be read."""

    report: Report
    pages: Pages
    signals: FormSignals
    facts: Facts
    counts: Counts
    quotable: Quotable
    criterion: Criterion
    asked: Asked
    evidence: Evidence
    told: Reading | tuple[float, bool]
    """What the reader is given; or what counts tell of it (`known`), and then it is not read."""

    @property
    def described(self) -> Floats:
        return describe(self.criterion, negative=self.asked.negative)


NOT_JUDGED = "the built-in judge is near chance on criteria of this kind, and unsure here; judge_all gives its guess"


class MiniEngine:
    """The built-in judge behind the Engine protocol. `plan` is safe in any thread; `run` belongs to one."""

    def __init__(self, model: Model, *, device: str = "cpu", judge_all: bool = False) -> None:
        self.model = model
        self.device = device
        self.judge_all = judge_all
        self.calibration = model.calibration
        self.capabilities = Capabilities(languages=("en",))
        self.identity = Identity(
            engine="mini",
            model=str(model.config.get("name", "mini")),
            engine_version=versions(*LIBRARIES),
            weights=f"{model.digests['model.safetensors']} {model.digests['trees.safetensors']}",
            tokenizer=model.digests["tokenizer.json"],
            prompt=model.digests["config.json"],
            code=code_digest("engines/mini"),
            device=torch.device(device).type,
            settings="judge_all" if judge_all else "",
        )

    @classmethod
    def load(
        cls, model: str | None = None, *, device: str = "auto", threads: int | None = None, judge_all: bool = False
    ) -> MiniEngine:
        """The shipped weights, or those of a folder that `judger-train judge` wrote.

        `judge_all` gives a verdict on criteria of kinds that the judge is known to be bad at, too.

        Raises:
            InvalidRequest: no such folder, or no such device.
            EngineError: the files can't be read.
        """
        device = cls.prepared(device, threads)
        return cls(load_from(model, device), device=device, judge_all=judge_all)

    @staticmethod
    def prepared(device: str, threads: int | None) -> str:
        """The device that is meant; sets the process's threads. Raises InvalidRequest where there is none."""
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidRequest("device", f"{device} was asked for, and this machine has no CUDA device")
        return device

    def plan(self, case: Case, tier: Tier) -> Plan:
        report = tokenize(case.report, self.model.tokenizer)
        questions = [asked(criterion.text, negative=criterion.is_negative) for criterion in case.criteria]
        criteria = [tokenize(question.text, self.model.tokenizer) for question in questions]
        fault = language_fault(case.language, case.report)
        refused = {}
        has_words = _has_words(report, case.report)
        for position, tokens in enumerate(criteria):
            if fault is not None:
                refused[position] = Unscored(Reason.UNSUPPORTED_LANGUAGE, fault)
            elif not has_words:
                refused[position] = Unscored(Reason.UNPARSABLE, "the report holds no readable words")
            elif not _has_words(tokens, questions[position].text):
                refused[position] = Unscored(Reason.UNPARSABLE, "the criterion holds no readable words")
        cost = sum(len(tokens) for position, tokens in enumerate(criteria) if position not in refused)
        if len(refused) < len(criteria):
            cost += len(report)
        return Plan(
            case=case, tier=tier, tokens=max(cost, 1), payload=Payload(report, questions, criteria), refused=refused
        )

    @torch.inference_mode()
    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        open_ = [[i for i in range(len(plan.case.criteria)) if i not in plan.refused] for plan in plans]
        texts: list[Tokens] = []
        for plan, positions in zip(plans, open_, strict=True):
            payload = _payload(plan)
            if positions:
                texts += [payload.report, *(payload.criteria[i] for i in positions)]
        states = iter(encode(self.model.encoder, texts, self.device))
        pairs_of = [
            self._pairs(plan, positions, states) if positions else []
            for plan, positions in zip(plans, open_, strict=True)
        ]
        to_read = [[pair for pair in pairs if isinstance(pair.told, Reading)] for pairs in pairs_of]
        unread = list(chain.from_iterable(to_read))
        logs = read(self.model.reader, [told for p in unread if isinstance(told := p.told, Reading)], self.device)
        deep = self._deep([(plan.case.query, pairs) for plan, pairs in zip(plans, to_read, strict=True) if pairs])
        said = iter(self._mixed(unread, logs, deep).tolist() if unread else ())
        each = chain.from_iterable(pairs_of)
        outcomes = []
        for plan, positions in zip(plans, open_, strict=True):
            scored = {i: self._outcome(plan, i, next(each), said) for i in positions}
            refused = {i: Outcome(result=unscored) for i, unscored in plan.refused.items()}
            outcomes.append([(scored | refused)[i] for i in range(len(plan.case.criteria))])
        return outcomes

    def _pairs(self, plan: Plan, positions: Sequence[int], states: Iterator[Tensor]) -> list[Pair]:
        payload, mean, idf, text = _payload(plan), self.model.mean, self.model.idf, plan.case.report
        report = make_report(text, payload.report, next(states), mean)
        signals, facts = form_signals(text), Facts.of(text, unit_spans(payload.report))
        counts = Counts.of(text, signals)
        questions = [payload.asked[i] for i in positions]
        criteria = [
            make_criterion(question.text, payload.criteria[i], next(states), mean, idf)
            for i, question in zip(positions, questions, strict=True)
        ]
        pages = Pages.of(text, unit_spans(payload.report), self.model.tokenizer, signals)
        quotable = Quotable.of(text, payload.report, pages.outline)
        found = examine_all(report, criteria, idf)
        stated = [plan.case.criteria[i] for i in positions]
        told = [
            known(criterion.text, criterion.is_negative, counts, facts, evidence.score)
            or reading(question.text, pages, evidence.score, negative=question.negative)
            for criterion, question, evidence in zip(stated, questions, found, strict=True)
        ]
        each = zip(criteria, questions, found, told, strict=True)
        return [Pair(report, pages, signals, facts, counts, quotable, *one) for one in each]

    def _deep(self, of_plans: Sequence[tuple[str, Sequence[Pair]]]) -> Floats | None:
        """What a second reader says of the pairs of each query's report, in order: (pairs, 3). Here is none."""
        return None

    def _mixed(self, pairs: Sequence[Pair], logs: Floats, deep: Floats | None) -> Floats:
        rows = np.stack(
            [figures(p.criterion.text, p.evidence, p.signals, p.facts, negative=p.asked.negative) for p in pairs]
        )
        stances = [
            stance(p.asked.text, p.asked.negative, p.report.text, unit_spans(p.report.tokens), p.evidence.score)
            for p in pairs
        ]
        signs = [pair.asked.negative for pair in pairs]
        described = np.stack([pair.described for pair in pairs])
        fitted = self.model.forest(rows) + self.model.linear(rows, described, signs)
        p = self.model.mix(logs, fitted, signs, stances, deep)
        p = np.stack(
            [row if q.asked.negative else capped(row, q.asked.text, q.counts) for row, q in zip(p, pairs, strict=True)]
        )
        return as_stated(p, np.array([pair.asked.is_turned for pair in pairs]), self.model.calibration)

    def close(self) -> None:
        """Nothing is held but memory."""

    def _outcome(self, plan: Plan, position: int, pair: Pair, said: Iterator[list[float]]) -> Outcome:
        """said: what the readers say of the pairs that are read, in order."""
        tokens = len(pair.report.tokens)
        if not isinstance(pair.told, Reading):
            sure, is_shown = pair.told
            return Outcome(
                result=Probabilities(1.0 - sure, 0.0, sure),
                evidence=pair.quotable.best(pair.evidence.score) if is_shown else (),
                prompt_tokens=tokens,
                shared_tokens=tokens,
            )
        read_as = Probabilities(*next(said))
        result: Probabilities | Unscored = read_as
        spans = pair.quotable.best(pair.evidence.score)
        if not self.judge_all and self._is_open(pair, read_as, plan.case.criteria[position].is_negative):
            result, spans = Unscored(Reason.NOT_JUDGEABLE, NOT_JUDGED), ()
        return Outcome(result=result, evidence=spans, prompt_tokens=tokens + len(pair.told.ids), shared_tokens=tokens)

    def _is_open(self, pair: Pair, p: Probabilities, negative: bool) -> bool:
        calibration = self.calibration
        threshold = calibration.negative_threshold if negative else calibration.positive_threshold
        margin = abs(p_satisfied(calibration.apply(p), negative=negative) - threshold)
        return self.model.judgeable.refuses(pair.described, margin)


def _has_words(tokens: Tokens, text: str) -> bool:
    """Whether there is anything to read: "!?" has tokens, and says nothing."""
    return len(tokens) > 0 and any(map(str.isalnum, text))


def _payload(plan: Plan) -> Payload:
    assert isinstance(plan.payload, Payload)
    return plan.payload


__all__ = ["Criterion", "MiniEngine"]
