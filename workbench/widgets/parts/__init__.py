"""Parts that several live views share: controls, read-outs, and errors shown as sentences."""
