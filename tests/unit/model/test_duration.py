import pytest

from tuner.model.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        (".5s", 0.5),
        (" 2m ", 120.0),
    ],
)
def test_go_syntax_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (30, "30 has no unit: write a duration such as 30s or 1m30s"),
        (1.5, "1.5 has no unit"),
        ("30", "30 has no unit"),
        ("1m30", "1m30 has no unit"),
        ("1d", "'d' in 1d is not a unit of time: use ms, s, m or h"),
        ("soon", "'soon' is not a duration"),
        ("-5s", "'-5s' is not a duration"),
        ("1m 30s", "'1m 30s' is not a duration"),
        ("", "'' is not a duration"),
        (True, "True is not a duration"),
        ("9" * 400 + "s", "99999999999999999999... is too long"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_duration(text)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("text", ["15s", "1m30s", "2h", "1h1ms", "500ms", "15m"])
def test_a_duration_is_written_as_it_was_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
