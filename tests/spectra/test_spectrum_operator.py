"""The protocol, the dense adapter and the checks of kernels."""

import pytest
import torch

from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, JacobianLike
from ntklab.spectra.operator import check_kernel


def test_dense_jacobian_is_one():
    M = torch.randn(6, 4)
    J = DenseJacobian(M, n_outputs=3)
    assert isinstance(J, JacobianLike)
    assert (J.shape, J.n_samples, J.n_outputs, J.dtype) == ((6, 4), 2, 3, torch.float32)
    assert J.dense().dtype == torch.float32
    A = M.double()
    torch.testing.assert_close(J.gram(), A @ A.T)
    torch.testing.assert_close(J.dual_gram(), A.T @ A)
    v, u = torch.randn(4).double(), torch.randn(6).double()
    torch.testing.assert_close(J @ v, A @ v)
    torch.testing.assert_close(J.T @ u, A.T @ u)
    assert not isinstance(M, JacobianLike)


@pytest.mark.parametrize("n_outputs", [0, 4, -1])
def test_outputs_must_divide_rows(n_outputs):
    with pytest.raises(InputError, match="does not divide"):
        DenseJacobian(torch.ones(6, 2), n_outputs)


def test_rounding_is_symmetrized_and_errors_are_not():
    K = torch.eye(3).double()
    K[0, 1] = 1e-12
    symmetric = check_kernel(K)
    assert torch.equal(symmetric, symmetric.T)
    assert symmetric[0, 1] == 5e-13
    K[0, 1] = 1e-6
    with pytest.raises(InputError, match="not symmetric"):
        check_kernel(K)
    assert check_kernel(K.float()).shape == (3, 3)  # 1e-6 is rounding in float32
