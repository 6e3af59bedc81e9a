"""What predictors are compared with: five regressors of scikit-learn on one-hot choices, with 90% intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction import DictVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from benchmarks.predictor_tables import Floats, Rows

NORMAL_95 = 1.6449

GAUSSIAN_PROCESSES = ("gp_rbf", "gp_matern")

REFERENCES: dict[str, Callable[[int], Any]] = {
    "ridge": lambda seed: RidgeCV(np.logspace(-3, 3, 13)),
    "forest": lambda seed: RandomForestRegressor(random_state=seed),
    "boosting": lambda seed: GradientBoostingRegressor(random_state=seed),
    "gp_rbf": lambda seed: GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel(), normalize_y=True),
    "gp_matern": lambda seed: GaussianProcessRegressor(
        ConstantKernel() * Matern(nu=2.5) + ConstantKernel() * DotProduct() + WhiteKernel(), normalize_y=True
    ),
}


class Predicted(NamedTuple):
    """Values and the ends of 90% intervals, (rows,)."""

    value: Floats
    low: Floats
    high: Floats


def predict_with(name: str, known: Rows, targets: Floats, new: Rows, log: bool, seed: int) -> Predicted:
    """Fit to the known rows, their logarithms for latencies, and predict the new ones.

    Numbers are standardised. A Gaussian process has intervals of its own; the others take the 90% quantile of their
    errors in tenfold cross-validation.
    """
    encoder = DictVectorizer(sparse=False)
    x, x_new = encoder.fit_transform(known), encoder.transform(new)
    centre, scale = x.mean(axis=0), np.where(np.ptp(x, axis=0) > 1, x.std(axis=0), 1.0)
    x, x_new, y = (x - centre) / scale, (x_new - centre) / scale, np.log(targets) if log else targets
    model = REFERENCES[name](seed)
    if name in GAUSSIAN_PROCESSES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of weights at their bounds
            value, std = model.fit(x, y).predict(x_new, return_std=True)
        reach = NORMAL_95 * std
    else:
        errors = np.abs(cross_val_predict(clone(model), x, y, cv=10) - y)
        value, reach = model.fit(x, y).predict(x_new), np.quantile(errors, 0.9, method="higher")
    back = np.exp if log else np.asarray
    return Predicted(back(value), back(value - reach), back(value + reach))
