import numpy as np
from torch import tensor

from nonesuch.loop.run_images import PlacedSamples, stand_ins


def test_the_next_one_stands_in_and_all_others_stay() -> None:
    assert stand_ins(np.array([0, 1, 2])).tolist() == [0, 1, 2]
    assert stand_ins(np.array([-1, 0, -1, -1, 1, -1])).tolist() == [0, 0, 1, 1, 1, 0]


def test_seeds_belong_to_the_places() -> None:
    class Echo:
        def __len__(self) -> int:
            return 2

        def load(self, indices: np.ndarray, seeds: list[int]) -> dict:
            return {"rows": tensor(indices), "seeds": tensor(seeds)}

    placed = PlacedSamples(Echo(), stand_ins(np.array([0, -1, 1])))
    assert len(placed) == 3
    loaded = placed.load(np.array([2, 1, 0]), [7, 8, 9])
    assert loaded["rows"].tolist() == [1, 1, 0]
    assert loaded["seeds"].tolist() == [7, 8, 9]
