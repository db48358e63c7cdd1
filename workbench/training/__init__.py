"""Training both stages: objectives, the loop, snapshots, and runs in a background thread."""
