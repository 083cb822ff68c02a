"""Numeric and interpreted work that is not hashing: `work.py MODE` runs MODE until it is killed.

The modes that need numpy, numba, scikit-learn or DuckDB import them themselves.
"""
import random
import sys


def matmul():
    """Double-precision matrix product (OpenBLAS)."""
    import numpy as np

    a = np.random.default_rng(1).random((1500, 1500))
    return lambda i: a @ a


def fft():
    """A two-dimensional FFT (pocketfft)."""
    import numpy as np

    a = np.random.default_rng(1).random((1024, 1024))
    return lambda i: np.fft.fft2(a)


def svd():
    """Singular values (LAPACK)."""
    import numpy as np

    a = np.random.default_rng(1).random((500, 500))
    return lambda i: np.linalg.svd(a)


def xorshift():
    """Marsaglia's xorshift over an integer array: vector shifts and xors."""
    import numpy as np

    a = np.arange(1, 1 << 16, dtype=np.uint64)

    def step(i):
        nonlocal a
        a ^= a << np.uint64(13)
        a ^= a >> np.uint64(7)
        a ^= a << np.uint64(17)

    return step


def sort():
    """Sorting integers and unique values (AVX-512 or radix sort)."""
    import numpy as np

    a = np.random.default_rng(1).integers(0, 1 << 40, 1 << 21)
    return lambda i: np.unique(a)


def normal():
    """Gaussian variates (PCG64 and the ziggurat)."""
    import numpy as np

    rng = np.random.default_rng(1)
    return lambda i: rng.standard_normal(1 << 20)


def numba():
    """A JIT-compiled integer loop: a 32-bit mixing function over an array, to bucket keys."""
    import numba
    import numpy as np

    @numba.njit
    def buckets(keys, counts):
        for key in keys:
            key = ((key >> 16) ^ key) * 0x45D9F3B & 0xFFFFFFFF
            key = ((key >> 16) ^ key) * 0x45D9F3B & 0xFFFFFFFF
            counts[((key >> 16) ^ key) % len(counts)] += 1

    keys, counts = np.arange(1 << 22), np.zeros(1024, dtype=np.int64)
    return lambda i: buckets(keys, counts)


def forest():
    """Training of a random forest."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    x, y = make_classification(5000, 30, random_state=1)
    return lambda i: RandomForestClassifier(50, random_state=i).fit(x, y)


def boost():
    """Gradient boosting on histograms."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = make_classification(20000, 30, random_state=1)
    return lambda i: HistGradientBoostingClassifier(random_state=i).fit(x, y)


def kmeans():
    """Clustering."""
    from sklearn.cluster import KMeans
    from sklearn.datasets import make_blobs

    x, _ = make_blobs(50000, 20, random_state=1)
    return lambda i: KMeans(16, n_init=1, random_state=i).fit(x)


def perceptron():
    """Training of a small neural network."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    return lambda i: MLPClassifier((128,), max_iter=20, random_state=i).fit(x, y)


def duckdb():
    """A grouped join of a columnar database."""
    import duckdb

    query = "SELECT a.range % 1000 AS k, sum(b.range) FROM range(2000000) a JOIN range(2000000) b USING (range) GROUP BY k"
    return lambda i: duckdb.sql(query).fetchall()


def nbody(steps=20_000):
    """Floating point in the interpreter."""

    def step(i):
        x, v = 1.0, 0.0
        for _ in range(steps):
            v -= x / (abs(x) ** 3 + 1e-3) * 1e-3
            x += v * 1e-3

    return step


def words():
    """Counting words in a dictionary."""
    with open("text", encoding="latin-1") as file:
        text = file.read(1 << 22)

    def step(i):
        counts = {}
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1

    return step


def shuffle():
    """The interpreter's own Mersenne twister."""
    deck = list(range(100_000))
    return lambda i: random.shuffle(deck)


def life():
    """The Game of Life on integers of many words: shifts and xors inside CPython's long."""
    rows = [random.getrandbits(20_000) for _ in range(64)]

    def step(i):
        for n, row in enumerate(rows):
            rows[n] = (row << 1 ^ row >> 1 ^ rows[n - 1]) & (1 << 20_000) - 1

    return step


def primes():
    """Modular powers of big integers (Miller and Rabin)."""
    return lambda i: pow(3, (1 << 2203) - 2, (1 << 2203) - 1)


def pickles():
    """Serializing and parsing."""
    import json
    import pickle

    rows = [{"n": n, "name": f"row {n}", "tags": ["a", n / 3]} for n in range(5000)]
    return lambda i: (json.loads(json.dumps(rows)), pickle.loads(pickle.dumps(rows)))


step, i = globals()[sys.argv[1]](), 0
while True:
    step(i)
    i += 1
