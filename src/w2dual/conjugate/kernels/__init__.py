"""One kernel that solves a whole batch of conjugations on a GPU.

In few dimensions the plain solver spends its time on starting operations, and the slowest of all
points decides how often; here a program of the kernel works on a few points until these have
finished (docs/performance.md has what that gains). `choice` says which solvers and potentials have
a kernel; all others run the plain way, which is also what a kernel is tested against.

The kernel is written in Pallas and lowered by Triton, for these reasons:

- Triton's products run on tensor cores with three terms of TF32, which keep float32's digits, and a
  transposition, a layout in registers and a load for each point are the compiler's business.
- It is a part of JAX, so nothing else has to be installed; and Pallas' interpreter runs the same
  kernel on a CPU, where the tests compare it with the plain solver.
- JAX announces that the Triton lowering will end in favour of Mosaic GPU. That one leaves layouts
  and memory to the author and needs a GPU of the newest two generations; and jax-triton is another
  package, with kernels that no interpreter runs. The locks pin a version that has Triton. What
  depends on it is `launch` and the ring of `lbfgs`; without them every cell trains the plain way.
"""
