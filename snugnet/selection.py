"""Which subnet to take out: the most accurate one that measures within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import norm

from search_space import Architecture, SearchSpace, UserError
from snugnet.estimates import Estimates, choices_of
from snugnet.evaluator import Evaluator
from snugnet.progress import say
from supernet.cost import cost
from supernet.latency import Latency

FEWEST_ROWS = 20
"""Trials below which predictors are not asked for further candidates."""

POOL = 400
"""Mutations and crossovers of the best trials that the predictors look through."""

PROPOSALS, ROUNDS = 8, 3
"""Of these, how many are evaluated, before the predictors learn from them and propose again."""

MEASUREMENTS, FASTEST = 12, 3
"""Candidates measured with care, and where none of these fits so many of the fastest, before giving up."""

LEAST_CHANCE, LEAST_GAIN = 0.1, 0.0005
"""Of being within the budget, and of accuracy times that chance, below which a candidate is not measured."""

NOISE = 0.03
"""Relative standard deviation of a latency in a row, where no predictor knows better."""


@dataclass(frozen=True)
class Budget:
    """Limits that a subnet has to stay within; None is no limit."""

    latency_ms: float | None = None
    max_params: int | None = None
    max_flops: int | None = None

    def __post_init__(self) -> None:
        options = {"latency-ms": self.latency_ms, "max-params": self.max_params, "max-flops": self.max_flops}
        for option, limit in options.items():
            if limit is not None and not 0 < limit < math.inf:
                raise UserError(f"--{option} {limit} must be a number above 0")

    @property
    def latency_limit_ms(self) -> float:
        return math.inf if self.latency_ms is None else self.latency_ms

    def counts_fit(self, params: int, flops: int) -> bool:
        return (self.max_params is None or params <= self.max_params) and (
            self.max_flops is None or flops <= self.max_flops
        )


@dataclass(frozen=True)
class Choice:
    """A chosen architecture, its row of metrics and its latency as measured with care."""

    architecture: Architecture
    row: dict[str, Any]
    latency: Latency


def choose(
    rows: list[dict[str, Any]],
    budget: Budget,
    evaluator: Evaluator,
    measure: Callable[[Architecture], Latency],
    estimates: Estimates | None,
    seed: int,
    noise: float = 0.0,
) -> Choice:
    """The most accurate candidate that measures within the budget twice, and whose counts are within.

    Candidates are the trials and, with `estimates` of them, what the predictors propose. They are measured in the order
    of what each would gain over the best that fits so far, times its chance of fitting. A latency fits when its whole
    interval does; preferred are those whose median fits even with the device's `noise`, the relative standard deviation
    of a measurement, on top. The best is measured again when all others were, for whoever takes the best of many takes
    those that were lucky; it is taken if it is still the best by the second measurement, which replaces the first.
    Raises UserError, naming the nearest architecture, where none fits.
    """
    space = evaluator.inherited.supernet.space
    known, generator = rows, np.random.default_rng(seed)
    for _ in range(ROUNDS):
        if estimates is None:
            break
        proposals = _propose(known, budget, space, evaluator, estimates, generator)
        if not proposals:
            break
        say(f"evaluating {len(proposals)} architectures that the predictors propose")
        evaluated = zip(proposals, evaluator(proposals), strict=True)
        known = known + [{**row, "architecture": a.to_json(), "id": a.id} for a, row in evaluated]
        estimates = estimates.of(known)
    candidates = [row for row in known if budget.counts_fit(row["params"], row["flops"])]
    if not candidates:
        raise UserError(_nothing_counts(rows, budget, space, evaluator))
    limit, expected = budget.latency_limit_ms, _expected(candidates, space, estimates)
    left = sorted(candidates, key=lambda row: (-row["accuracy"], expected[row["id"]], row["params"]))
    measured: list[Choice] = []
    confirmed: set[str] = set()
    fastest = FASTEST

    def reach(choice: Choice) -> float:
        return max(choice.latency.high_ms, choice.latency.median_ms * (1 + noise))

    while True:
        fitting = [each for each in measured if each.latency.high_ms <= limit]
        safe = [each for each in fitting if reach(each) <= limit]
        row = None
        if left and len(measured) < MEASUREMENTS:
            # This may be another hour than that of the rows: how far they are off is learned from what was measured.
            longer = median([reach(each) / expected[each.row["id"]] for each in measured] or [1.0])
            reached = max((each.row["accuracy"] for each in safe), default=left[-1]["accuracy"])
            row = _worth_measuring(left, reached, _chances(left, limit / longer, space, estimates))
        if row is None and left and not safe and fastest:
            row, fastest = min(left, key=lambda row: expected[row["id"]]), fastest - 1
        if row:
            left.remove(row)
            architecture = Architecture.from_json(row["architecture"])
            measured.append(Choice(architecture, row, measure(architecture)))
            continue
        if not fitting:
            break
        best = max(safe or fitting, key=lambda each: each.row["accuracy"])
        if limit == math.inf or best.architecture.id in confirmed:
            return best
        measured[measured.index(best)] = replace(best, latency=measure(best.architecture))
        confirmed.add(best.architecture.id)
    nearest = min(measured, key=reach)
    raise UserError(
        f"no subnet measures under {limit:g} ms on this device; the nearest is {nearest.architecture.id} at "
        f"{nearest.latency.median_ms:.3f} ms (up to {nearest.latency.high_ms:.3f}); ask for --latency-ms "
        f"{reach(nearest) * 1.05:.3f} or more"
    )


def _expected(rows: list[dict[str, Any]], space: SearchSpace, estimates: Estimates | None) -> dict[str, float]:
    """Latency by id: what the predictor makes of all rows, where there is one. Each row by itself was measured quickly,
    and whoever takes the best of many takes those that were lucky.
    """
    if estimates is None:
        return {row["id"]: row["latency_ms"] for row in rows}
    return dict(zip((row["id"] for row in rows), estimates.latency.predict(choices_of(rows, space)), strict=True))


def _worth_measuring(rows: list[dict[str, Any]], reached: float, chances: list[float]) -> dict[str, Any] | None:
    """Of accuracy beyond what is `reached`, the row that promises most; None where it is too little."""
    worth = [(row["accuracy"] - reached) * chance for row, chance in zip(rows, chances, strict=True)]
    most = max(range(len(rows)), key=lambda i: worth[i])
    return rows[most] if worth[most] >= LEAST_GAIN else None


def _chances(rows: list[dict[str, Any]], limit: float, space: SearchSpace, estimates: Estimates | None) -> list[float]:
    """Probability of each row that its architecture measures within the limit; 0 where it is hardly worth a try."""
    if estimates is None:
        chances = norm.cdf([math.log(limit / row["latency_ms"]) / NOISE for row in rows])
    else:
        chances = estimates.latency.predict_within(choices_of(rows, space), limit)
    return [float(chance) if chance >= LEAST_CHANCE else 0.0 for chance in chances]


def _propose(
    rows: list[dict[str, Any]],
    budget: Budget,
    space: SearchSpace,
    evaluator: Evaluator,
    estimates: Estimates,
    generator: np.random.Generator,
) -> list[Architecture]:
    """Of unseen relatives of the best rows within the budget, those that promise most: the expected improvement of the
    accuracy times the probability of being within (Gardner et al., "Bayesian Optimization with Inequality Constraints",
    ICML 2014, equation 6).
    """
    limit = budget.latency_limit_ms
    expected = _expected(rows, space, estimates)
    within = [r for r in rows if expected[r["id"]] <= limit and budget.counts_fit(r["params"], r["flops"])]
    best = max((row["accuracy"] for row in within), default=min(row["accuracy"] for row in rows))
    parents = [
        Architecture.from_json(row["architecture"])
        for row in sorted(within or rows, key=lambda row: -row["accuracy"])[:10]
    ]
    seen = {row["id"] for row in rows}
    pool: dict[str, Architecture] = {}
    for _ in range(POOL):
        a, b = (parents[i] for i in generator.integers(len(parents), size=2))
        child = space.mutate(space.crossover(a, b, generator), generator)
        if child.id not in seen:
            pool[child.id] = child
    if budget.max_params is not None or budget.max_flops is not None:
        task = evaluator.inherited.supernet.task
        pool = {i: a for i, a in pool.items() if budget.counts_fit(cost(a, task).params, cost(a, task).flops)}
    if not pool:
        return []
    architectures = list(pool.values())
    choices = [space.choices(a) for a in architectures]
    accuracy, deviation = estimates.accuracy.predict(choices, return_std=True)
    better = (accuracy - best) / deviation
    improvement = deviation * (norm.pdf(better) + better * norm.cdf(better))
    promise = improvement * estimates.latency.predict_within(choices, limit)
    return [architectures[i] for i in np.argsort(-promise, kind="stable")[:PROPOSALS]]


def _nothing_counts(rows: list[dict[str, Any]], budget: Budget, space: SearchSpace, evaluator: Evaluator) -> str:
    smallest = space.smallest()
    counted = cost(smallest, evaluator.inherited.supernet.task)
    limits = [f"{n} {v:,}" for n, v in (("--max-params", budget.max_params), ("--max-flops", budget.max_flops)) if v]
    if budget.counts_fit(counted.params, counted.flops):
        return (
            f"none of the {len(rows)} trials is within {' and '.join(limits)}; search longer, or with that constraint"
        )
    return (
        f"no subnet of this space is within {' and '.join(limits)}; the nearest is {smallest.id} with "
        f"{counted.params:,} parameters and {counted.flops:,} FLOPs; ask for at least that"
    )
