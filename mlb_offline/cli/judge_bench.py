"""stub"""


def bench_command() -> None:
    """stub"""
