"""How fast `hxw demo record` is: steps a second, from key to picture, bytes and work per frame.

    python -m tests.benchmarks.studio

The client is in the same process and takes part in the work; there is a watcher that never reads.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from tests.demos.samples import frame_env
from tests.recorder.helpers import Client, desk_of, serving

_SECONDS = 10.0
_PRESSES = 40


def main() -> None:
    """Measure and print."""
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    with tempfile.TemporaryDirectory() as folder:
        control = desk_of(env, Path(folder) / "m.npz")
        with serving(control) as (port, _, _):
            player, watcher = Client(port), Client(port)
            player.keys("e", tapped=("e",))
            player.until(lambda latest: latest["frame"]["step"] > 60)
            begun, work, step = time.perf_counter(), time.process_time(), player.status["step"]
            pictures, taken = player.pictures, player.bytes
            while time.perf_counter() - begun < _SECONDS:
                player.listen()
            seconds, work = time.perf_counter() - begun, time.process_time() - work
            steps = player.status["step"] - step
            frames = player.pictures - pictures
            print(f"{steps / seconds:.1f} steps/s, {frames / seconds:.1f} pictures/s with sound")
            print(f"{(player.bytes - taken) / seconds / 1000:.0f} kB/s")
            print(f"{work / steps * 1000:.2f} ms of one core a step, with the client's own work")
            waits = [_press(player, number) for number in range(_PRESSES)]
            tenths = statistics.quantiles(waits, n=10)
            print(f"key to picture, median {tenths[4]:.1f} ms, 90 % within {tenths[8]:.1f} ms")
            watcher.close()
            player.close()
    env.close()


def _press(player: Client, number: int) -> float:
    key = ("left", "right")[number % 2]
    begun = time.perf_counter()
    player.keys(key, tapped=(key,))
    player.until(lambda latest: latest["frame"]["number"] == player.number)
    took = time.perf_counter() - begun
    end = time.perf_counter() + 0.07 + 0.003 * number % 0.017
    while time.perf_counter() < end:
        player.listen()
    return took * 1000


if __name__ == "__main__":
    main()
