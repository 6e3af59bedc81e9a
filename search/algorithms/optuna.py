"""Optuna's samplers behind ask and tell: NSGA-II (Deb et al., 2002), NSGA-III (Deb and Jain, 2014), TPE (Watanabe,
arXiv:2304.11127) and Gaussian processes.

The study lives in memory. A sampler is made anew for every ask, seeded from the position of the ask, so all state is
in the study's trials, and a study rebuilt from rows goes on as the one it repeats. Proposals already seen are told to
Optuna as failed, which its samplers ignore: they leave no trace in what follows, and a replay need not know of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from search.algorithms.algorithm import Algorithm
from search.algorithms.offspring import offspring
from search.domination import best_first
from search.problem import Problem, Row
from search_space import Architecture, Choose, Scalar


class Optuna(Algorithm):
    """Any Optuna sampler. `sampler` makes one from a problem and a seed."""

    def __init__(self, problem: Problem, seed: int, name: str, sampler: Callable[[Problem, int], BaseSampler]) -> None:
        super().__init__(problem, seed)
        self.name = name
        self._sampler = sampler
        self._trials: dict[str, Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            directions=["maximize" if objective.maximise else "minimize" for objective in problem.objectives]
        )

    def _propose(self, generator: np.random.Generator) -> Architecture:
        self._study.sampler = self._sampler(self.problem, int(generator.integers(2**32)))
        trial = self._study.ask()
        architecture = self.problem.space.build(cast("Choose", trial.suggest_categorical))
        if self.is_open(architecture):
            self._trials[architecture.id] = trial
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        return architecture

    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        trial = self._trials.pop(architecture.id, None)
        if trial is None:
            self._study.sampler = self._sampler(self.problem, self.seed)
            self._study.enqueue_trial(choices)
            trial = self._study.ask()
            self.problem.space.build(cast("Choose", trial.suggest_categorical))
        if not self.problem.measured(row):
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for constraint in self.problem.constraints:
            trial.set_constraint(str(constraint), constraint.violation(row))
        self._study.tell(trial, [float(row[objective.metric]) for objective in self.problem.objectives])


class _Bred:
    """What a genetic sampler of Optuna needs so that the search space itself makes its children.

    Optuna crosses only the decisions that every trial so far has made. In a conditional space those are few, and all
    that hangs on a depth or on a choice of mixer would be drawn at random in each child.
    """

    _problem: Problem
    _generator: np.random.Generator

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Assign the generation at once: Optuna would never do so for a trial whose choices are given."""
        self.get_trial_generation(study, trial)  # type: ignore[attr-defined]
        super().before_trial(study, trial)  # type: ignore[misc]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: CategoricalDistribution(options) for name, options in self._problem.space.decisions().items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        generation = self.get_trial_generation(study, trial)  # type: ignore[attr-defined]
        population = self.get_parent_population(study, generation)  # type: ignore[attr-defined]
        if not population:
            return {}
        space = self._problem.space
        parents = [space.replay(population[i].params) for i in self._best_first(population)]
        return dict(space.choices(offspring(space, parents, self._generator)))

    def _best_first(self, population: list[FrozenTrial]) -> Sequence[int]:
        """The order in which parents win tournaments."""
        signs = np.array([-1.0 if objective.maximise else 1.0 for objective in self._problem.objectives])
        losses = np.array([parent.values for parent in population]) * signs
        violations = np.array([sum(max(0.0, v) for v in parent.constraints.values()) for parent in population])
        return best_first(losses, violations).tolist()


class NSGAII(_Bred, NSGAIISampler):
    """Optuna's generations and elite selection."""

    def __init__(self, problem: Problem, seed: int, population_size: int = 20) -> None:
        super().__init__(population_size=population_size, seed=seed)
        self._problem, self._generator = problem, np.random.default_rng(seed)


class NSGAIII(_Bred, NSGAIIISampler):
    """Optuna's generations and selection by reference points; all that survive are equal parents."""

    def __init__(self, problem: Problem, seed: int, population_size: int = 20) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(population_size=population_size, seed=seed)
        self._problem, self._generator = problem, np.random.default_rng(seed)

    def _best_first(self, population: list[FrozenTrial]) -> Sequence[int]:
        return self._generator.permutation(len(population)).tolist()


def gp(problem: Problem, seed: int) -> GPSampler:
    """Gaussian processes, which need torch. Decisions that not every trial makes are drawn at random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(seed=seed)


def tpe(problem: Problem, seed: int) -> TPESampler:
    """Decisions modelled jointly, in groups that occur together, as conditional decisions need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)
