"""Benchmarks: `make bench SCALE=small|authority`, `make bench-compare BASE=<json>`. Never part of the tests.

A session measures the tasks of `tasks` in processes of their own (`process`, `work`), each repeated
after one warm-up, and the minimum cost of its input and output (`floor`). The result is one JSON
(`result`) and a short table (`report`); `compare` sets two results side by side.

`make shape` measures the source instead: `imports` (the layers of the library, import cycles, imports that go up)
and `shape` (the table of sizes).
"""
