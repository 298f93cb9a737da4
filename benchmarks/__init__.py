"""What trioworkers costs, against hand-written Trio and other libraries.

    python -m benchmarks --help

`ours`, `floor` and the modules in `peers` have functions of the same names,
each of which measures one thing; `_catalogue` lists what is measured and by
whom. Each side runs in a child process (`_serve`), so that nothing but the
side itself runs there. `instructions` counts machine instructions.

This file and those that children of other libraries import (`_serve`,
`_timing`, `_resident`) need the standard library alone.
"""
