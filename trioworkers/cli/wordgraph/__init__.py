"""A graph that counts the words of files.

Nothing in here knows of a terminal.
"""

from ._pieces import PIECE_BYTES as PIECE_BYTES
from ._tasks import FileWords as FileWords
from ._tasks import FoundFile as FoundFile
from ._tasks import Piece as Piece
from ._tasks import PieceWords as PieceWords
from ._tasks import Places as Places
from ._tasks import SkippedFile as SkippedFile
from ._tasks import TotalWords as TotalWords
from ._word_graph import WordGraph as WordGraph
from ._word_graph import WordGraphOptions as WordGraphOptions
from ._words import count_words as count_words
