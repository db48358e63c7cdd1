"""Static pictures: pure functions from results to plotly figures, py3Dmol views, HTML and SVG.

Every figure has a text equivalent in ``figure.layout.meta["alt"]``; `alt_text` returns it. Nothing
here has state or talks to a kernel; live pictures are in `workbench.widgets`. ``__init__.pyi``
lists the pictures. Each is imported on first use, so a structure needs no plotly and a figure no
py3Dmol.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
