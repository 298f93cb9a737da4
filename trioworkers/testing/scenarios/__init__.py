"""Built-in scenarios: each makes one simulated run from a seed. See ``trioworkers sim``."""

from ._catalogue import BUILT_IN as BUILT_IN
from ._catalogue import BuiltIn as BuiltIn
from ._explore import Search as Search
from ._explore import explore as explore
from ._findings import Findings as Findings
from ._findings import Tally as Tally
from ._findings import Violation as Violation
from ._findings import violation_of as violation_of
from ._processes import explore_apart as explore_apart
