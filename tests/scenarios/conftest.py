import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--day", action="store_true", help="run the faults for a whole day each")
