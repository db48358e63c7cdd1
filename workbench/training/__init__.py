"""Training both stages: objectives, the loop, snapshots, and runs in the background."""
