"""What trioworkers costs, against hand-written Trio that does the same.

`floor` and `ours` have functions of the same names; `figures` times them, and
`instructions` counts the instructions that they take.
"""
