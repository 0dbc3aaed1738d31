import math

import pytest
import torch

from serkit import methods
from serkit.errors import UserError
from serkit.methods.regression import Regression, mean_squared_error, one_minus_ccc
from serkit.networks.network import Batch, Output

# Means 2.5 and 2.75, variances 1.25 and 2.1875, covariance 1.375 (all divided by 4).
TRUTH = [1.0, 2.0, 3.0, 4.0]
PREDICTED = [1.0, 3.0, 2.0, 5.0]
CCC = 2 * 1.375 / (1.25 + 2.1875 + 0.25**2)


def batch(masks=None, **targets):
    size = len(next(iter(targets.values())))
    labels = {name: torch.tensor(values) for name, values in targets.items()}
    return Batch({"x": torch.zeros(size, 1)}, targets=labels, masks=masks or {})


def output(**predictions):
    return Output({name: torch.tensor(values)[:, None] for name, values in predictions.items()}, torch.zeros(1))


def test_the_loss_is_one_minus_the_concordance_of_the_batch():
    found = Regression().loss(output(valence=PREDICTED), batch(valence=TRUTH))
    assert found.keys() == {"ccc"} and float(found["ccc"]) == pytest.approx(1 - CCC)
    assert float(one_minus_ccc(torch.tensor(TRUTH), torch.tensor(TRUTH))) == pytest.approx(0)
    # The mirror image: covariance -1.25 against variances of 1.25 each.
    assert float(one_minus_ccc(5 - torch.tensor(TRUTH), torch.tensor(TRUTH))) == pytest.approx(2)
    # Shifted by its own deviation: 2 * 1.25 / (2 * 1.25 + 1.25).
    shifted = torch.tensor(TRUTH) + math.sqrt(1.25)
    assert float(one_minus_ccc(shifted, torch.tensor(TRUTH))) == pytest.approx(1 - 2 / 3)


def test_squared_errors_are_in_units_of_the_labels_deviation():
    assert float(mean_squared_error(torch.tensor(PREDICTED), torch.tensor(TRUTH))) == 0.75  # (0 + 1 + 1 + 1) / 4
    method = Regression("mse")
    method.deviations = {"valence": 2.0}
    found = method.loss(output(valence=PREDICTED), batch(valence=TRUTH))
    assert float(found["mse"]) == pytest.approx(0.75 / 4)


def test_targets_have_terms_of_their_own_and_only_known_labels_count():
    known = torch.tensor([True, True, True, True, False])
    labels = batch({"arousal": known}, valence=[*TRUTH, 2.0], arousal=[*TRUTH, 0.0])
    found = Regression().loss(output(valence=[*PREDICTED, 9.0], arousal=[*PREDICTED, 9.0]), labels)
    assert set(found) == {"ccc_valence", "ccc_arousal"}
    assert float(found["ccc_arousal"]) == pytest.approx(1 - CCC)
    assert float(found["ccc_valence"]) > 0.5


def test_a_batch_without_labels_or_without_variation_has_a_finite_gradient():
    values = torch.zeros(3, 1, requires_grad=True)
    none = batch({"valence": torch.zeros(3, dtype=torch.bool)}, valence=[0.0, 0.0, 0.0])
    for labels in (none, batch(valence=[0.0, 0.0, 0.0])):
        [term] = Regression().loss(Output({"valence": values}, values), labels).values()
        [gradient] = torch.autograd.grad(term, values)
        assert torch.isfinite(term) and torch.isfinite(gradient).all()


def test_the_gradient_brings_numbers_to_their_labels():
    values = torch.tensor(PREDICTED, requires_grad=True)
    optimizer = torch.optim.Adam([values], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        one_minus_ccc(values, torch.tensor(TRUTH)).backward()
        optimizer.step()
    torch.testing.assert_close(values.detach(), torch.tensor(TRUTH), atol=0.02, rtol=0)


def test_unknown_losses_are_refused():
    with pytest.raises(UserError, match=r"unknown loss 'mae'.*Available: ccc, mse"):
        methods.build("regression", loss="mae")
