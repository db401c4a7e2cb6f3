"""Golden digests: every output of the tiny world is pinned, so that a change which should change nothing is seen to.

What is pinned (`outputs`): the worlds, the runs of all three postures with their bundles, markers, receipts, records
and logs, a rerun, saved scorecards, the artefacts of all twelve phases (P3 and P5 as what-ifs), and what a few commands
print. The published and civil_time runs are complete; S5 refuses the remediated one at T6 (this world is too small for
the bands), and what it has written until then is pinned as well.

How (`digests`): `pins.txt` has lines `NAME#PART CLASS DIGEST`, sorted. A JSON document has one part for each top-level
field (one for each column where it is a list of objects) and `text` for its bytes; a Parquet file has one for each
column and `bytes`. Seeds other than 42, repetitions and runs of an older version have one line for each class.

Masks (`masks.MASKS`): times, memory, threads, machine and versions are replaced before anything is digested, each by a
pattern that fits nothing else, with its reason beside it; the digest of a file that holds such a thing is replaced by
the file's name, so that a pointer to another file still differs. Anything else that changes is a failure.

CPUs (`pins.probe`): the last bits of floats depend on the CPU. Lines of class `~` hold floats, or digests or sizes of
files that may; they are compared only where a small float computation gives what it gave where the pins were made. A
world holds floats too, and all draws depend on its fingerprint: lines of class `-` are compared unless both the probe
and the fingerprints are others. Class `=` (policies, a world's columns without floats) and all names are compared
everywhere.

After a change that is meant to show: `make golden-renew`, in a commit of its own, and read the difference. To see what
stands behind a digest, `python -m tests.golden.renew --documents FOLDER` writes the masked documents without renewing:
do it before and after a change, and `diff -r` the two folders.
"""
