from operate.findings import Finding


def test_a_remedy_stands_below_what_it_mends() -> None:
    lines = str(Finding("failure", "there are no AWS credentials", "aws configure")).splitlines()
    assert lines == ["  FAILURE  there are no AWS credentials", "           aws configure"]


def test_what_is_well_is_one_line() -> None:
    assert str(Finding("ok", "Node is v24.0.0")) == "  ok       Node is v24.0.0"
