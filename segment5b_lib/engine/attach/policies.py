"""The policies that an external run is judged by: its own nine, if this version reads them, or a posture's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segment5b_lib.contract.policies import Policies
from segment5b_lib.errors import InputError, MissingInputError, PolicyError, UsageError
from segment5b_lib.store.attachments import OWN_POLICIES
from segment5b_lib.store.postures import load_policies, load_posture

_FOLDER: Final = "policies"


def policies_of_tree(root: Path, parameter_hash: str, posture: str) -> tuple[str, Policies]:
    """OWN_POLICIES and the tree's policies, or the named posture and its policies.

    Raises
    ------
    UsageError : no policies that this version reads, and no posture named.
    InputError : the policies differ from those that the run was made with.
    """
    if posture:
        return posture, load_posture(posture)
    policies = _read(root / _FOLDER)
    if policies.parameter_hash != parameter_hash:
        raise InputError(
            "5B.ATTACH.POLICIES_DIFFER",
            "the policies in the tree differ from those that the run was made with",
            where=str(root / _FOLDER),
            expected=parameter_hash,
            found=policies.parameter_hash,
            next_step="restore them, or name the policies to judge by: --posture published",
        )
    return OWN_POLICIES, policies


def _read(folder: Path) -> Policies:
    try:
        if not folder.is_dir():
            raise MissingInputError("5B.ATTACH.NO_POLICIES", "there is no such folder", where=str(folder))
        return load_policies(folder)
    except (MissingInputError, PolicyError) as error:
        raise UsageError(
            "5B.ATTACH.NO_POLICIES",
            "the tree holds no policies that this version reads, so the policies to judge by must be named",
            where=error.where,
            expected=f"nine policy files in {_FOLDER}/, or --posture",
            found=error.what,
            next_step="segment5b attach PATH --posture published",
        ) from error
