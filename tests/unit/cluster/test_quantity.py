import pytest

from tuner.cluster.quantity import memory_bytes


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("128974848", 128974848),
        ("512Mi", 512 << 20),
        ("1.5Gi", 1536 << 20),
        ("129M", 129_000_000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("2E", 2 * 10**18),
        ("123456789m", 123_456),
    ],
)
def test_quantities_are_bytes(text: str, amount: int) -> None:
    assert memory_bytes(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "Infinity", "-1Gi", "1_000", " 1Gi", "1Gi\n", "1Xi", "1e999999999", "9E99", "Mi"],
)
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|Invalid number"):
        memory_bytes(text)
