"""Files and memory: where bundled data lie, atomic writes, and arrays larger than memory."""
