"""The weights of item edges are what the formula of `EdgeNet` says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from models.item_graph import FEATURES, EdgeNet

EVIDENCE, SAME = FEATURES.index("evidence"), FEATURES.index("same")
Doubles = npt.NDArray[np.float64]


def _net() -> EdgeNet:
    torch.manual_seed(3)
    net = EdgeNet(edges=0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return net


def _edges(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.rand(count, len(FEATURES))
    features[:, SAME] = (torch.arange(count) % 2).float()
    return features, torch.randn(count)


def _expected(net: EdgeNet, features: Doubles, refinement: Doubles) -> Doubles:
    """The formula, an edge at a time, in plain NumPy."""
    tensors = {name: tensor.double().numpy() for name, tensor in net.state_dict().items()}
    weights = []
    for seen, delta in zip(features, refinement, strict=True):
        inputs = np.concatenate([np.sqrt(seen[:2]), seen[2:]])
        hidden = np.maximum(tensors["inner.weight"] @ inputs + tensors["inner.bias"], 0)
        m, r = tensors["outer.weight"] @ hidden + tensors["outer.bias"]
        b = np.exp(2 * np.tanh((m + delta) / 2))
        if seen[SAME]:
            own = np.exp(tensors["log_again_evidence"]) * seen[EVIDENCE] * b
            weights.append(np.exp(tensors["log_again"]) + own)
        else:
            said = np.exp(tensors["log_floor"]) / (1 + np.exp(-r))
            weights.append(np.exp(tensors["log_scale"]) * (seen[EVIDENCE] * b + said))
    return np.array(weights)


def test_weights_of_edges_to_others_and_to_themselves_are_the_formula() -> None:
    """The network gives what the formula, written out in NumPy, gives for either kind of edge."""
    net, (features, refinement) = _net(), _edges(40)
    with torch.no_grad():
        found = net(features, refinement).numpy()
    expected = _expected(net, features.double().numpy(), refinement.double().numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (found >= 0).all()


def test_how_much_a_thing_is_wanted_again_does_not_hang_on_the_scale_of_other_edges() -> None:
    """The scale of edges between items leaves those from an item to itself as they are."""
    net, (features, refinement) = _net(), _edges(10)
    with torch.no_grad():
        before = net(features, refinement)
        net.log_scale.add_(1.0)
        after = net(features, refinement)
    same = features[:, SAME] > 0
    torch.testing.assert_close(after[same], before[same])
    assert (after[~same] > before[~same]).all()
