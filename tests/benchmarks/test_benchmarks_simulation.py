"""The simulator's benchmark runs, and says what it measured."""

import re

from benchmarks.simulation import RUN_BUDGET, Figure, main, run_in_processes, run_seeds


def test_it_prints_a_table(monkeypatch, capsys):
    """Of one run, and of many in processes; with the budget, and no verdict."""
    monkeypatch.setattr("sys.argv", ["simulation", "--quick"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| what | size | unit | median | spread | budget |"
    number = r"[\d,]+\.\d\d"
    spread = rf"{number} \| {number}\.\.{number}"
    one, processor, many = lines[4:]
    assert re.fullmatch(rf"\| simulated run \| 5 workers, 20 jobs \| ms \| {spread} \| 10 \|", one)
    assert processor.startswith("| its processor time | 5 workers, 20 jobs | ms | ")
    assert re.match(rf"\| simulated runs \| 20 x 5 workers, .* \| s \| {number} \|", many)


def test_each_seed_is_run_once():
    """Here, or in processes."""
    assert len(run_seeds(range(3))) == 3
    assert run_in_processes(3, 1) > 0


def test_a_row_is_in_its_unit():
    """Seconds are shown as the unit says."""
    figure = Figure("run", "small", "ms", 1e3, [0.001, 0.004, 0.002], RUN_BUDGET)
    assert figure.row() == "| run | small | ms | 2.00 | 1.00..4.00 | 10 |"
