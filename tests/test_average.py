"""The average of the weights follows them, steps in for them, and goes away without a trace."""

import pytest
import torch
from torch import nn

from bdh_reason.train.average import Average


def model(value: float) -> nn.Linear:
    linear = nn.Linear(1, 1)
    for weight in linear.parameters():
        nn.init.constant_(weight, value)
    return linear


def test_the_average_moves_by_the_decay_once_it_is_warm():
    linear = model(0.0)
    average = Average(linear, 0.5)
    nn.init.constant_(linear.weight, 1.0)
    average.update(linear, 10**6)
    assert average.of(linear)["weight"].item() == pytest.approx(0.5)


def test_the_first_weights_are_soon_forgotten():
    linear = model(100.0)
    average = Average(linear, 0.999)
    nn.init.constant_(linear.weight, 1.0)
    for step in range(1, 200):
        average.update(linear, step)
    assert average.of(linear)["weight"].item() < 1.1


def test_the_model_has_its_own_weights_again_after_an_error():
    linear = model(3.0)
    average = Average(linear, 0.5)
    nn.init.constant_(linear.weight, 1.0)
    with pytest.raises(ZeroDivisionError), average.within(linear):
        linear.weight.item() / (linear.weight.item() - 3.0)
    assert linear.weight.item() == 1.0


def test_without_decay_the_average_is_the_model_and_takes_no_memory():
    linear = model(2.0)
    average = Average(linear, 0.0)
    average.update(linear, 1)
    with average.within(linear):
        assert torch.equal(average.of(linear)["weight"], linear.weight)
    assert not average.weights


def test_the_average_goes_where_the_weights_go():
    linear, plain = model(1.0), model(1.0)
    averages = Average(linear, 0.5), Average(plain, 0.0)
    for moved, average in zip((linear, plain), averages, strict=True):
        moved.to("meta")
        average.follow(moved)
        average.update(moved, 1)
        assert all(weight.device.type == "meta" for weight in average.of(moved).values())
