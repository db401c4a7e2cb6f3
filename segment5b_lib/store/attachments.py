"""Attachments: what is known of a run root that another program made, kept outside of it.

An attached run is a run like any other, except that its data lie in `root`, which is only ever read; receipt,
policies, markers and this record lie in `outputs/attached/<run_id>/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from segment5b_lib.contract.strict import Strict
from segment5b_lib.errors import MissingInputError
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.publish import STAGING_PREFIX
from segment5b_lib.store.roots import outputs_folder

ATTACHMENT_FILE: Final = "attachment.json"
ENGINE: Final = "data engine"
"""Stands for the library version in the receipt of a run that carries none of ours."""
OWN_POLICIES: Final = "tree"
"""What an attachment is judged by where the tree holds its policies."""


class Attachment(Strict):
    """Where another program's run is, what was found there, and what was not.

    `attached_by` is a library version. The run is judged by the policies of the `tree` or of the named posture, which
    have `policies_hash`. Its world is in the `tree`, in `outputs`, in a folder that was `named`, or nowhere;
    `world_files` maps paths below the world's root to SHA-256, by dataset. `verified` are flags, indexes and markers
    that were compared with the content; `normalised` is what readers make into the contract's types; `missing` is what
    the tree does not have, and what therefore cannot be measured.
    """

    root: str
    attached_utc: str
    attached_by: str
    scenarios: list[str]
    judged_by: str
    policies_hash: str
    world_in: Literal["tree", "outputs", "named", "absent"]
    world_files: dict[str, dict[str, str]]
    verified: list[str]
    normalised: list[str]
    missing: list[str]


def attached_folder() -> Path:
    return outputs_folder() / "attached"


def attached_homes() -> list[Path]:
    """The folder of every attachment; links are not followed, and folders in the making are none yet."""
    homes = [path.parent for path in sorted(attached_folder().glob(f"*/{ATTACHMENT_FILE}"))]
    return [home for home in homes if not home.is_symlink() and not home.name.startswith(STAGING_PREFIX)]


def read_attachment(home: Path) -> Attachment:
    path = home / ATTACHMENT_FILE
    return validated(Attachment, read_json(path, bounded=False), str(path))


def require_root(home: Path) -> Path:
    """The foreign root of an attachment, which must still be there."""
    root = Path(read_attachment(home).root)
    if not root.is_dir():
        raise MissingInputError(
            "5B.ATTACH.ROOT_GONE",
            f"the root of attached run {home.name[:8]} is not there any more",
            where=str(root),
            expected="the folder that was attached",
            found="no such folder",
            next_step=f"bring it back or mount it; to forget the attachment remove {home}",
        )
    return root
