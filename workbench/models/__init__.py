"""How is a Hamiltonian predicted? By two stages.

Stage 1 is an equivariant network that predicts the baseline Hamiltonian. Stage 2 is a graph
Transformer that reads stage 1's features and corrects the baseline.
"""
