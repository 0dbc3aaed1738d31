"""What makes libraries compute as on a processor with AVX2 and without AVX-512.

`python tests/older_processor.py COMMAND [ARG ...]` runs a command so.
"""

import os
import subprocess
import sys

from numpy._core._multiarray_umath import __cpu_dispatch__ as KINDS


def environment() -> dict[str, str]:
    """Return this process's environment with the switches of oneDNN, torch and NumPy, for a process to be started.

    onnxruntime has no such switch: it always takes what the processor has.
    """
    # Names differ between NumPy's versions, and it refuses those that it was not built with.
    newer = " ".join(name for name in KINDS if name.startswith(("AVX512", "X86_V4")))
    return {
        **os.environ,
        "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions, linear layers and LSTMs
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # its matrix products; on Intel's processors only
        "OPENBLAS_CORETYPE": "Haswell",  # those of NumPy and SciPy
        "NPY_DISABLE_CPU_FEATURES": newer,
    }


def run(*arguments: str) -> str:
    """Run Python so and return what it writes to stdout."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], environment())
