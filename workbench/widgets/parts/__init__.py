"""Parts shared by several labs: controls, readouts, and the display of errors."""
