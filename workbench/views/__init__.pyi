"""The pictures, each once, with the module that draws it."""

from .bands import bands as bands
from .calibration import calibration as calibration
from .curves import curves as curves
from .distance_decay import decay as decay
from .distance_decay import irrep_decay as irrep_decay
from .energies import level_diagram as level_diagram
from .errors import equivariance_bars as equivariance_bars
from .evaluations import error_spread as error_spread
from .evaluations import errors_against_levels as errors_against_levels
from .evaluations import evaluation_table as evaluation_table
from .evaluations import shell_pair_table as shell_pair_table
from .harmonics import harmonics_surfaces as harmonics_surfaces
from .irrep_norms import irrep_norm_bars as irrep_norm_bars
from .matrices import compare as compare
from .matrices import heat as heat
from .rotation_errors import angle_scan as angle_scan
from .rotation_errors import error_histogram as error_histogram
from .sphere_map import sphere_map as sphere_map
from .spin_panels import spin_parts as spin_parts
from .structure import view as view
from .style import alt_text as alt_text
from .training import error_curves as error_curves
from .training import learning_curves as learning_curves
from .training import training_curves as training_curves
