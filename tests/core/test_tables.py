import numpy as np
import pyarrow as pa

from nonesuch.core.tables import with_nulls


def test_rows_go_where_they_belong_and_nulls_elsewhere() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0, 4.0]), 2)
    table = pa.table({"name": ["a", "b"], "vector": vectors})
    found = with_nulls(table, np.array([False, True, False, True]))
    assert found["name"].to_pylist() == [None, "a", None, "b"]
    assert found["vector"].to_pylist() == [None, [1.0, 2.0], None, [3.0, 4.0]]
    assert found.schema == table.schema


def test_no_rows_at_all() -> None:
    found = with_nulls(pa.table({"age": pa.array([], pa.float32())}), np.array([False, False]))
    assert found["age"].to_pylist() == [None, None]
