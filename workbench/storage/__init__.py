"""Files and memory: paths of bundled data, atomic writes, and arrays larger than memory."""
