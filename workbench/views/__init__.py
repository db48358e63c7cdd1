"""Still pictures: pure functions from results to plotly figures, py3Dmol views, HTML and SVG.

A figure carries its text twin in ``figure.layout.meta["alt"]``; `alt_text` returns it. Nothing here
has state or speaks to a kernel: what moves lies in `workbench.widgets`. ``__init__.pyi`` lists the
pictures. Each is imported on first use, so that a molecule needs no plotly and a figure no py3Dmol.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
