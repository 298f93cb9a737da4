"""The benchmark of many clients runs, checks what they were told, and says what it measured."""

import re

from benchmarks.panel_load import main


def test_it_prints_a_table(monkeypatch, capsys):
    """With few clients: all that read were told all, and those that don't were dropped."""
    sizes = "--clients 8 --groups 4 --stalled 2 --updates 50 --seconds 1 --bytes 4000"
    more = "--stall-timeout 0.3 --rounds 2"
    monkeypatch.setattr("sys.argv", ["panel_load", *sizes.split(), *more.split()])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| what | value |"
    table = dict(line.strip("| ").split(" | ", 1) for line in lines[4:])
    assert table["told exactly once to each of 8 clients"] == "64"
    assert table["close codes of the stalled"] == "1013: 2, cut off: 2"
    assert re.fullmatch(r"\d+\.\d to \d+\.\d s", table["stalled clients were dropped after"])
    assert len([what for what in table if what.startswith("server's memory")]) == 6
    assert len([what for what in table if what.startswith("latency of")]) == 2
