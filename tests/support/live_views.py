"""A two-stage model that needs no training, and messages as a browser would send them."""

from __future__ import annotations

from types import SimpleNamespace

from scipy.spatial.transform import Rotation

from workbench.engines.pyscf_molecules import overlap


def overlap_model(ref):
    """Two stages that need no training: the overlap is exactly equivariant, a constant is not."""

    def predict(atoms):
        exact = overlap(atoms, ref.H.basis)
        return SimpleNamespace(baseline=exact, refined=exact + 0.01 * ref.H)

    return SimpleNamespace(predict=predict)


def receive(view, content):
    """What the browser would send."""
    view._receive(view, content, [])


def turn_message(R, **more):
    quaternion = Rotation.from_matrix(R).as_quat().tolist()
    return {"kind": "turn", "view": "v", "tick": 1, "quaternion": quaternion, **more}
