"""Protocols that plugins implement, and the types that they receive. Does not import torch.

Protocols, the types in their signatures and small functions on these types belong here. The use of an
implementation belongs in the rooms above.
"""

from mtkd_cli.interfaces.columns import Columns as Columns
from mtkd_cli.interfaces.data import Column as Column
from mtkd_cli.interfaces.data import DataCache as DataCache
from mtkd_cli.interfaces.data import DataSource as DataSource
from mtkd_cli.interfaces.data import FrameLabels as FrameLabels
from mtkd_cli.interfaces.data import Frames as Frames
from mtkd_cli.interfaces.data import Reader as Reader
from mtkd_cli.interfaces.data import Samples as Samples
from mtkd_cli.interfaces.data import SourceData as SourceData
from mtkd_cli.interfaces.data import WindowReader as WindowReader
from mtkd_cli.interfaces.detector import DetectionTargets as DetectionTargets
from mtkd_cli.interfaces.detector import DetectorOutput as DetectorOutput
from mtkd_cli.interfaces.guesses import FILL_IN as FILL_IN
from mtkd_cli.interfaces.guesses import DataGuess as DataGuess
from mtkd_cli.interfaces.guesses import TeacherGuess as TeacherGuess
from mtkd_cli.interfaces.models import HubFormat as HubFormat
from mtkd_cli.interfaces.models import InputSpec as InputSpec
from mtkd_cli.interfaces.models import Model as Model
from mtkd_cli.interfaces.models import ModelProvider as ModelProvider
from mtkd_cli.interfaces.models import ModelRequest as ModelRequest
from mtkd_cli.interfaces.models import PrecomputedOutputs as PrecomputedOutputs
from mtkd_cli.interfaces.models import RecordedRows as RecordedRows
from mtkd_cli.interfaces.output_form import OutputForm as OutputForm
from mtkd_cli.interfaces.output_form import OutputLayout as OutputLayout
from mtkd_cli.interfaces.placement import Placement as Placement
from mtkd_cli.interfaces.placement import place as place
from mtkd_cli.interfaces.placement import sides as sides
from mtkd_cli.interfaces.sample_ids import PackedIds as PackedIds
from mtkd_cli.interfaces.sample_ids import find_duplicate as find_duplicate
from mtkd_cli.interfaces.sample_ids import take_ids as take_ids
from mtkd_cli.interfaces.strategy import AggregationBatch as AggregationBatch
from mtkd_cli.interfaces.strategy import Aggregator as Aggregator
from mtkd_cli.interfaces.strategy import CombiningAggregator as CombiningAggregator
from mtkd_cli.interfaces.strategy import FittedAggregator as FittedAggregator
from mtkd_cli.interfaces.table_format import TableFormat as TableFormat
from mtkd_cli.interfaces.table_format import TableInput as TableInput
from mtkd_cli.interfaces.task import Task as Task
from mtkd_cli.interfaces.task_extensions import HasScores as HasScores
from mtkd_cli.interfaces.task_extensions import MergesViews as MergesViews
from mtkd_cli.interfaces.tracker import Tracker as Tracker
from mtkd_cli.interfaces.types import FEW_LABELS as FEW_LABELS
from mtkd_cli.interfaces.types import Alignment as Alignment
from mtkd_cli.interfaces.types import Details as Details
from mtkd_cli.interfaces.types import Labels as Labels
from mtkd_cli.interfaces.types import LossOptions as LossOptions
from mtkd_cli.interfaces.types import Merged as Merged
from mtkd_cli.interfaces.types import Metric as Metric
from mtkd_cli.interfaces.types import Prediction as Prediction
from mtkd_cli.interfaces.types import TaskData as TaskData
