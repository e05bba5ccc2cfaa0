"""Simulations on synthetic distributions."""

from typing import Annotated, Literal

from pydantic import Field

from advgen.specs.base import MAX_COUNT, Ascending, Count, NonNegative, Positive, Spec


class SimulationSpec(Spec):
    """Base of all simulations on synthetic distributions. Each returns series of points with intervals."""


class GaussianModel(SimulationSpec):
    """Two Gaussians at ±theta: clean and robust error of the mean classifier by sample size (Schmidt et al. 2018)."""

    kind: Literal["gaussian_model"] = Field(description="two Gaussian classes and a linear classifier")
    dimension: Count = Field(500, description="number of dimensions; theta has length sqrt(dimension)")
    deviation: Positive = Field(
        1.5, description="standard deviation of each coordinate, in units of dimension to the power 1/4"
    )
    sizes: Annotated[tuple[Count, ...], Ascending] = Field(
        (1, 3, 10, 30, 100, 300), min_length=1, description="numbers of training examples"
    )
    eps: Annotated[tuple[NonNegative, ...], Ascending] = Field(
        (0.0, 0.25, 0.5), min_length=1, description="L∞ radii; 0: clean error"
    )
    trials: Count = Field(50, description="random training sets for each size and seed")


class BernoulliModel(SimulationSpec):
    """Two classes of vectors of ±1 with bias tau: error of linear classifiers with and without threshold.

    Source: Schmidt et al. 2018.
    """

    kind: Literal["bernoulli_model"] = Field(description="two Bernoulli classes, with and without thresholding")
    dimension: Count = Field(500, description="number of coordinates, each ±1")
    bias: Annotated[float, Field(gt=0, lt=0.5)] = Field(0.1, description="bias tau of the signs towards the class")
    sizes: Annotated[tuple[Count, ...], Ascending] = Field(
        (1, 3, 10, 30, 100, 300), min_length=1, description="numbers of training examples"
    )
    eps: Annotated[tuple[NonNegative, ...], Ascending] = Field(
        (0.0, 0.1, 0.5), min_length=1, description="L∞ radii; 0: clean error"
    )
    trials: Count = Field(50, description="random training sets for each size and seed")


class Spheres(SimulationSpec):
    """Two concentric spheres: error of a trained network and distance to its nearest error (Gilmer et al. 2018)."""

    kind: Literal["spheres"] = Field(description="two concentric spheres in high dimension")
    dimensions: Annotated[tuple[Count, ...], Ascending] = Field(
        (20, 100, 200, 500), min_length=1, description="dimensions of the space"
    )
    radius: Positive = Field(1.3, description="radius of the outer sphere; the inner one has radius 1")
    hidden: Count = Field(500, description="units of each of two hidden layers")
    steps: Count = Field(1000, description="training steps")
    batch: Count = Field(100, description="new random points per step")
    points: Annotated[int, Field(ge=20, le=MAX_COUNT)] = Field(
        5000, description="test points; a tenth of them is attacked"
    )
