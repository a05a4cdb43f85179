"""Tables of observations that a chart replays at once, and its answers bit for bit."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

observations = st.floats(-1e6, 1e6)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """Observations of a few devices, near the target of 1.25 with a sigma of 0.3 and far from it."""
    n_devices, n_scans = draw(st.integers(1, 4)), draw(st.integers(0, 20))
    near = st.floats(-8, 8).map(lambda z: 1.25 + z * 0.3) | observations
    values = draw(st.lists(near, min_size=n_devices * n_scans, max_size=n_devices * n_scans))
    return np.reshape(values, (n_devices, n_scans))


def bits(arrays: list[Any]) -> list[tuple[str, bytes]]:
    return [(str(values.dtype), np.ascontiguousarray(values).tobytes()) for values in arrays]
