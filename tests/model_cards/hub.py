"""What the stand-in for the Hugging Face Hub holds."""

import hashlib
from dataclasses import dataclass, field


@dataclass
class Repo:
    """Commits and what branches and tags point to. `created`: the request that created it."""

    created: dict
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    pull_requests: int = 0

    def commit(self, files: dict[str, bytes], ref: str) -> str:
        """Add a commit and let `ref` point to it."""
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[oid] = files
        self.refs[ref] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, tag or commit."""
        return self.refs.get(revision, revision if revision in self.commits else None)

    def head(self, revision: str) -> str:
        """As `resolve`, of one that is there."""
        oid = self.resolve(revision)
        assert oid is not None, revision
        return oid


@dataclass
class Hub:
    """What the server holds. `requests`: every (method, path); `unknown`: those it did not understand."""

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)

    def files(self, kind: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Path → bytes of a repository."""
        repo = self.repos[kind, repo_id]
        return repo.commits[repo.head(revision)]
