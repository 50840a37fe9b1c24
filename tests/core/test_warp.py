import numpy as np
import scipy.ndimage
import torch

from nonesuch.core.warp import warp_affine


def test_equals_scipys_bilinear_sampling_with_replicated_borders() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (2, 3, 30, 40))
    matrix = np.array([[0.9, -0.4, 12.0], [0.4, 0.9, -7.5]])
    ours = warp_affine(torch.from_numpy(image), torch.from_numpy(matrix), 35).numpy()

    y, x = np.mgrid[:35, :35]
    source = np.linalg.inv(matrix[:, :2]) @ (np.stack([x.ravel(), y.ravel()]) - matrix[:, 2:])
    for batch in range(2):
        for channel in range(3):
            expected = scipy.ndimage.map_coordinates(image[batch, channel], source[::-1], order=1, mode="nearest")
            assert np.allclose(ours[batch, channel], expected.reshape(35, 35), atol=1e-6)


def test_gradients_reach_the_image() -> None:
    image = torch.rand(1, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor([[1.1, 0.1, -0.3], [-0.1, 1.1, 0.4]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda pixels: warp_affine(pixels, matrix, 9), (image,))
