"""What a device could reach is known by its name, or said not to be known."""

import pytest

from bdh_reason.machine import peak
from bdh_reason.suite import price

PEAKS = {
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 80GB HBM3": 989.4e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H200": 989.5e12,
    "NVIDIA H200 NVL": 835.5e12,
}
UNKNOWN = ("NVIDIA RTX A1000 Laptop GPU", "NVIDIA GeForce RTX 3090", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "AMD EPYC")


@pytest.mark.parametrize("name", PEAKS)
def test_the_longest_name_whose_words_are_there_decides_the_peak_and_what_a_suite_takes(name, monkeypatch):
    monkeypatch.setattr(price, "device_name", lambda device: name)
    assert peak(name) == PEAKS[name]
    assert price.speed("cuda")[0] == 0.4 * PEAKS[name]
    assert "unknown" not in price.speed("cuda")[1]


@pytest.mark.parametrize("name", UNKNOWN)
def test_of_another_device_the_peak_is_unknown_and_what_is_assumed_is_said(name, monkeypatch):
    monkeypatch.setattr(price, "device_name", lambda device: name)
    assert peak(name) is None
    assert price.speed("cuda") == (0.4 * 312e12, f"{name}: unknown peak, 40% of 312.0 TFLOP/s assumed")
