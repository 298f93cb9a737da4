"""Three real researchers: files, the standard library, installed packages.

Nothing in here knows of a terminal: the command line and the web panel use the
same workers.
"""

from ._files import FilesResearcher as FilesResearcher
from ._packages import PackagesResearcher as PackagesResearcher
from ._query import Finding as Finding
from ._query import ResearchQuery as ResearchQuery
from ._ranking import TopFindings as TopFindings
from ._researcher import Manner as Manner
from ._researcher import Researcher as Researcher
from ._stdlib import StdlibResearcher as StdlibResearcher
from ._text import printable as printable
