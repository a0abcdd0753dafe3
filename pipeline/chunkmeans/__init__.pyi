"""What is imported when it is first asked for, and from where."""

from .api import apply as apply
from .api import export as export
from .api import plan as plan
from .api import run as run
from .api import segment as segment
from .config import Config as Config
from .config import load_config as load_config
from .config import make_config as make_config
from .errors import ChunkError as ChunkError
from .errors import ChunkmeansError as ChunkmeansError
from .errors import ClusterError as ClusterError
from .errors import ConfigError as ConfigError
from .errors import ResultError as ResultError
from .errors import SourceError as SourceError
from .image.grid import Box as Box
from .results.read.open_results import open_run as open_run
from .sources import ReadOptions as ReadOptions
from .sources import open_image as open_image
from .steps.segment.in_memory import Segmentation as Segmentation
from .version import __version__ as __version__
