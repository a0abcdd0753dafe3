"""What is imported when it is first asked for, and from where: each needs what its seam needs."""

from .clusters import ClusterKindTests as ClusterKindTests
from .engines import EngineTests as EngineTests
from .exporters import ExporterTests as ExporterTests
from .features import FeatureTests as FeatureTests
from .sources import FileSourceTests as FileSourceTests
from .sources import SourceTests as SourceTests
