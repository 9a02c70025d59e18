"""The torch engine behind the Protocol of `judger.engines.base`: plan in any thread, run in the engine's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from judger.engines.base import Capabilities, Identity, Outcome, Plan, Tier
from judger.engines.code import GENERATIVE, code_digest, versions
from judger.engines.explained import (
    TRIAL_TEMPERATURE,
    Explanation,
    behind,
    explained_outcome,
    is_close,
    label_outcome,
    mean_outcome,
    parse_reply,
)
from judger.engines.tokens import Prompter, Tree
from judger.engines.torch.budget import step_budget
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.load import LoadedModel, load_model
from judger.engines.torch.writing import ReasonWriter
from judger.prompt.fence import FenceKey
from judger.types import Case, Explain, Reason, Unscored
from judger.verdict import IDENTITY, Calibration

__all__ = ["TorchEngine", "too_long"]

GIB = 2**30
MISSING = Outcome(result=Unscored(Reason.ENGINE_ERROR, "no verdict was computed"))


class TorchEngine:
    """Judges a whole checklist in one pass over the report."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        calibration: Calibration = IDENTITY,
        max_prompt_tokens: int = 0,
        step_bytes: int = GIB,
        step_tokens: int = 0,
        cache_bytes: int = GIB // 2,
        reason_tokens: int = 256,
        trial_temperature: float = TRIAL_TEMPERATURE,
        min_label_mass: float = 0.0,
        deterministic: bool = False,
        fence: FenceKey | None = None,
    ) -> None:
        """`max_prompt_tokens`: refuse longer prompts (0: the model's own limit). `step_bytes`: memory for the
        activations of one forward, from which `step_tokens` follows where it is 0. `cache_bytes`: memory for the keys
        and values of reports seen lately. `reason_tokens`: budget of a written reason. `min_label_mass`: below it a
        verdict is UNPARSABLE. `deterministic`: the same bits whatever the company, at some cost. `fence`: see
        `Prompter`."""
        limits = [limit for limit in (max_prompt_tokens, loaded.max_tokens) if limit]
        self._limit = min(limits, default=0)
        self._prompter = Prompter(loaded.tokenizer, name=loaded.name, fence=fence)
        within, leaf_tokens = step_budget(loaded, step_bytes)
        self._cascade = Cascade(
            loaded.model,
            step_tokens=step_tokens or within,
            leaf_tokens=leaf_tokens,
            cache_bytes=cache_bytes,
            deterministic=deterministic,
            trim=loaded.trim,
        )
        ends = loaded.ends | self._prompter.specials | {self._prompter.end}
        self._writer = ReasonWriter(self._prompter, frozenset(end for end in ends if end is not None))
        self._reason_tokens = reason_tokens
        self._trial_temperature = trial_temperature
        self._min_label_mass = min_label_mass
        self.calibration = calibration
        self.capabilities = Capabilities(can_explain=True, can_compare=True, prompt_tokens=self._limit)
        self.identity = Identity(
            engine="torch",
            model=loaded.name.rstrip("/").rsplit("/", 1)[-1],
            engine_version=versions("torch", "transformers", "tokenizers", "rapidfuzz"),
            weights=loaded.weights,
            tokenizer=self._prompter.tokenizer_digest,
            prompt=self._prompter.prompt_digest,
            precision=str(loaded.dtype).removeprefix("torch.") + (" deterministic" if deterministic else ""),
            code=code_digest(*GENERATIVE, "engines/torch"),
            device=loaded.device.type,
            fence=self._prompter.fence_digest,
            settings=f"reason_tokens {reason_tokens}, trial_temperature {trial_temperature}, "
            f"min_label_mass {min_label_mass}",
        )

    @classmethod
    def load(
        cls,
        model: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        calibration: Calibration = IDENTITY,
        max_prompt_tokens: int = 0,
        step_bytes: int = GIB,
        cache_bytes: int = GIB // 2,
        reason_tokens: int = 256,
        trial_temperature: float = TRIAL_TEMPERATURE,
        min_label_mass: float = 0.0,
        deterministic: bool = False,
        fence: FenceKey | None = None,
        bars: bool = False,
    ) -> TorchEngine:
        """The engine for a model at a path or a hub name. `threads`: of the CPU, for the whole process. `bars`: of
        progress, on standard error.

        Raises EngineError with the reason for a model that can't be loaded or judged with exactly, and InvalidRequest
        for what is no model.
        """
        if threads:
            torch.set_num_threads(threads)
        return cls(
            load_model(model, device=device, dtype=dtype, bars=bars),
            calibration=calibration,
            max_prompt_tokens=max_prompt_tokens,
            step_bytes=step_bytes,
            cache_bytes=cache_bytes,
            reason_tokens=reason_tokens,
            trial_temperature=trial_temperature,
            min_label_mass=min_label_mass,
            deterministic=deterministic,
            fence=fence,
        )

    def plan(self, case: Case, tier: Tier) -> Plan:
        """Token ids of the case's tree. A criterion whose prompt is too long is refused, never cut."""
        tree = self._prompter.pair_tree(case) if tier.is_pairwise else self._prompter.tree(case)
        refused = too_long(tree, self._limit)
        return Plan(case=case, tier=tier, tokens=tree.tokens, payload=tree, refused=refused)

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        wanted = []
        for plan in plans:
            assert isinstance(plan.payload, Tree)
            always = plan.tier.explain is Explain.ALWAYS
            open_criteria = [i for i in range(len(plan.case.criteria)) if i not in plan.refused]
            wanted.append((plan.payload, [] if always else open_criteria))
        labels = (self._prompter.labels.ids, self._prompter.pair_labels.ids)
        log_probs = self._cascade.log_probs(wanted, labels[0] + labels[1])
        outcomes = []
        for plan, (tree, branches), rows in zip(plans, wanted, log_probs, strict=True):
            results = {index: Outcome(result=why) for index, why in plan.refused.items()}
            rows = rows[:, 3:] if plan.tier.is_pairwise else rows[:, :3]
            for index, row in zip(branches, rows.tolist(), strict=True):
                results[index] = label_outcome(row, self._min_label_mass)
            told = [
                replace(
                    results.get(index, MISSING),
                    prompt_tokens=tree.lone_tokens(index),
                    shared_tokens=shared_tokens(tree, index),
                )
                for index in range(len(plan.case.criteria))
            ]
            for index, outcome in self._explained(plan, told).items():
                told[index] = outcome if plan.tier.explain is Explain.ALWAYS else behind(told[index], outcome)
            outcomes.append(told)
        return outcomes

    def _explained(self, plan: Plan, plain: Sequence[Outcome]) -> dict[int, Outcome]:
        """Outcomes with a reason, for the criteria that the tier wants one for."""
        tier = plan.tier
        if tier.explain is Explain.NEVER:
            return {}
        tree = self._prompter.tree(plan.case, explain=True)
        chosen = [
            index
            for index, criterion in enumerate(plan.case.criteria)
            if index not in plan.refused
            and (
                tier.explain is Explain.ALWAYS
                or is_close(plain[index], criterion.is_negative, tier.explain_margin, tier.calibration)
            )
        ]
        more = self._reason_tokens + len(self._prompter.labels.cue)  # the reason, and the cue behind it
        longer = {index: why for index, why in too_long(tree, self._limit, more).items() if index in chosen}
        chosen = [index for index in chosen if index not in longer]
        trials = [self._trial(plan, tree, chosen, seed) for seed in range(max(1, tier.trials))]
        explained = {index: Outcome(result=why, prompt_tokens=tree.lone_tokens(index)) for index, why in longer.items()}
        return explained | {index: mean_outcome([trial[index] for trial in trials]) for index in chosen}

    def _trial(self, plan: Plan, tree: Tree, chosen: Sequence[int], seed: int) -> dict[int, Outcome]:
        """One reason for each chosen criterion, and the label probabilities behind it."""
        written = self._cascade.write(
            tree,
            chosen,
            max_tokens=self._reason_tokens,
            guide=self._writer.guide,
            temperature=self._trial_temperature if plan.tier.trials > 1 else 0.0,
            seed=seed,
        )
        outcomes: dict[int, Outcome] = {}
        told: dict[int, Explanation] = {}
        branches = list(tree.branches)
        for index, ids in zip(chosen, written, strict=True):
            text = self._writer.text(ids)
            explanation = parse_reply(text)
            if isinstance(explanation, Unscored):
                outcomes[index] = Outcome(result=explanation, prompt_tokens=tree.lone_tokens(index))
                continue
            told[index] = explanation
            polarity, branch = branches[index]
            branches[index] = (polarity, branch + self._prompter.plain(f"{text}\n") + self._prompter.labels.cue)
        after = replace(tree, branches=tuple(branches))
        # The text may be spelled in more tokens than it was written in.
        results = {index: Outcome(result=why) for index, why in too_long(after, self._limit).items()}
        fitting = [index for index in told if index not in results]
        (rows,) = self._cascade.log_probs([(after, fitting)], self._prompter.labels.ids)
        for index, row in zip(fitting, rows.tolist(), strict=True):
            results[index] = label_outcome(row, self._min_label_mass)
        for index, explanation in told.items():
            outcome = explained_outcome(results[index].result, explanation, plan.case.report)
            outcomes[index] = replace(
                outcome,
                label_mass=results[index].label_mass,
                prompt_tokens=after.lone_tokens(index),
                shared_tokens=shared_tokens(after, index),
            )
        return outcomes

    @property
    def prefix_tokens(self) -> tuple[int, int]:
        """(tokens of prompts found kept from earlier cases, tokens computed)."""
        return self._cascade.num_found, self._cascade.num_tokens

    def close(self) -> None:
        self._cascade.cache.clear()


def shared_tokens(tree: Tree, index: int) -> int:
    """How many tokens of a criterion's prompt are computed for other criteria, too."""
    return tree.lone_tokens(index) - len(tree.branches[index][1])


def too_long(tree: Tree, limit: int, reason: int = 0) -> dict[int, Unscored]:
    """The criteria whose prompt, and a reason's tokens behind it, exceed `limit` tokens (0: none does); both counts."""
    if not limit:
        return {}
    counts = {index: tree.lone_tokens(index) + reason for index in range(len(tree.branches))}
    what = "prompt and reason take" if reason else "the prompt has"
    return {
        index: Unscored(Reason.TOO_LONG, f"{what} {count} tokens, the limit is {limit}")
        for index, count in counts.items()
        if count > limit
    }
