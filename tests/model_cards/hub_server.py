"""A small stand-in for the Hugging Face Hub, on this machine, for tests.

It is not the Hub: it keeps repositories in memory, checks no token, and speaks only what huggingface_hub 2.4 calls
(without Xet: HF_HUB_DISABLE_XET=1) when it creates, uploads to, tags, lists and downloads a repository: create,
validate-yaml, preupload, LFS batch and PUT, commit, tag, info, tree, paths-info and resolve. Clients reach it through
HF_ENDPOINT. What it does not know answers 404 and is listed in `unknown`.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.model_cards.hub import Hub, Repo

# As on the Hub: these go through LFS, everything else into the commit itself.
LFS_SUFFIXES = (".safetensors", ".parquet", ".png")
REPO = r"(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
PREFIXES = {"datasets/": "datasets", "spaces/": "spaces", "": "models"}


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """A running hub at `hub.url`."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (HubHandler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class HubHandler(BaseHTTPRequestHandler):
    """Routes requests to the methods below."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Info, tree, or a file."""
        self._route("GET", (
            (rf"/api/{REPO}(/revision/(?P<revision>.+))?", self.info),
            (rf"/api/{REPO}/refs", self.refs),
            (rf"/api/{REPO}/tree/(?P<revision>[^/]+)(/(?P<folder>.*))?", self.tree),
            (r"/(?P<prefix>datasets/|spaces/|)(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
             self.resolve),
        ))  # fmt: skip

    do_HEAD = do_GET

    def do_POST(self):
        """What changes a repository, and paths-info."""
        self._route("POST", (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate_yaml),
            (rf"/api/{REPO}/preupload/(?P<revision>.+)", self.preupload),
            (rf"/api/{REPO}/commit/(?P<revision>.+)", self.commit),
            (rf"/api/{REPO}/tag/(?P<revision>.+)", self.tag),
            (rf"/api/{REPO}/paths-info/(?P<revision>.+)", self.paths_info),
            (r"/.+\.git/info/lfs/objects/batch", self.lfs_batch),
        ))  # fmt: skip

    def do_PUT(self):
        """An LFS object."""
        self._route("PUT", ((r"/lfs/(?P<oid>[0-9a-f]{64})", self.lfs_put),))

    def create(self):
        """Create an empty repository, or say that it exists."""
        wanted = json.loads(self.body)
        key = (f"{wanted.get('type', 'model')}s", f"{wanted['organization']}/{wanted['name']}")
        if key in self.hub.repos:
            self._json({"error": "You already created this repo", "url": self._web_url(*key)}, 409)
            return
        self.hub.repos[key] = Repo(wanted)
        self.hub.repos[key].commit({".gitattributes": b""}, "main")
        self._json({"url": self._web_url(*key)})

    def validate_yaml(self):
        """The Hub's own rules are not known here; accept a card that has metadata."""
        has_metadata = json.loads(self.body)["content"].startswith("---\n")
        errors = [] if has_metadata else [{"message": "no metadata"}]
        self._json({"errors": errors, "warnings": []}, 200 if has_metadata else 400)

    def preupload(self, kind, repo, revision):
        """How each file is to be uploaded, and what is here already under its path."""
        _, here = self._files(kind, repo, revision)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
                "oid": _oid(file["path"], here[file["path"]]) if file["path"] in here else None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._json({"files": files})

    def lfs_batch(self):
        """Where to put each LFS object that is not here yet."""
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}", "header": {}}}
            objects.append(wanted if wanted["oid"] in self.hub.objects else wanted | {"actions": upload})
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid):
        """Keep an object whose hash is right."""
        if hashlib.sha256(self.body).hexdigest() != oid:
            self._json({"error": "wrong hash"}, 400)
            return
        self.hub.objects[oid] = self.body
        self._json({})

    def commit(self, kind, repo, revision):
        """Apply a commit, to a branch or as a pull request."""
        found = self.hub.repos[kind, repo]
        files = dict(found.commits[found.head(revision)])
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        is_pull_request = "create_pr=1" in self.path
        found.pull_requests += is_pull_request
        oid = found.commit(files, f"refs/pr/{found.pull_requests}" if is_pull_request else revision)
        url = self._web_url(kind, repo)
        answer = {"commitUrl": f"{url}/commit/{oid}", "commitOid": oid, "success": True}
        if is_pull_request:
            answer["pullRequestUrl"] = f"{url}/discussions/{found.pull_requests}"
        self._json(answer)

    def tag(self, kind, repo, revision):
        """Name a revision."""
        found = self.hub.repos[kind, repo]
        name = json.loads(self.body)["tag"]
        if name in found.refs:
            self._json({"error": "Tag reference exists already"}, 409)
            return
        found.refs[name] = found.head(revision)
        self._json({})

    def refs(self, kind, repo):
        """Branches and tags."""
        rows = [
            {"name": name, "ref": name, "targetCommit": oid}
            for name, oid in self.hub.repos[kind, repo].refs.items()
        ]
        branches = [row for row in rows if row["name"] == "main"]
        tags = [row for row in rows if row["name"] != "main" and "/" not in row["name"]]
        self._json({"branches": branches, "converts": [], "tags": tags})

    def info(self, kind, repo, revision=None):
        """A repository's commit and files."""
        oid, files = self._files(kind, repo, revision or "main")
        if oid is not None:
            siblings = [{"rfilename": path} for path in files]
            card = {"id": repo, "sha": oid, "private": False, "tags": [], "downloads": 0, "likes": 0}
            self._json(card | {"siblings": siblings})

    def tree(self, kind, repo, revision, folder=None):
        """Files and folders, below `folder`."""
        oid, files = self._files(kind, repo, revision)
        if oid is None:
            return
        below = {path: data for path, data in files.items() if not folder or path.startswith(f"{folder}/")}
        if folder and not below:
            self._error(404, "EntryNotFound")
            return
        self._json([_entry(path, data) for path, data in below.items()] + _folders(below))

    def paths_info(self, kind, repo, revision):
        """Those of the paths asked for that exist."""
        oid, files = self._files(kind, repo, revision)
        if oid is None:
            return
        body = json.loads(self.body) if self.body.startswith(b"{") else {}
        wanted = body.get("paths", [])
        entries = [_entry(path, data) for path, data in files.items()] + _folders(files)
        self._json([entry for entry in entries if entry["path"] in wanted])

    def resolve(self, prefix, repo, revision, path):
        """A file's bytes, or the part asked for."""
        oid, files = self._files(PREFIXES[prefix], repo, revision)
        if oid is None:
            return
        if path not in files:
            self._error(404, "EntryNotFound")
            return
        data = files[path]
        headers = {
            "X-Repo-Commit": oid,
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data = data[start : end + 1]
        self._send(data, 206 if asked else 200, headers)

    def _files(self, kind, repo, revision):
        found = self.hub.repos.get((kind, repo))
        oid = found.resolve(revision) if found else None
        if found is None or oid is None:
            self._error(404, "RevisionNotFound" if found else "RepoNotFound")
            return None, {}
        return oid, found.commits[oid]

    def _web_url(self, kind, repo):
        return f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{repo}"

    def _route(self, method: str, routes: tuple[tuple[str, Callable], ...]) -> None:
        self.body = self._read()
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        for pattern, handle in routes:
            match = re.fullmatch(pattern, path)
            if match:
                named = {name: value for name, value in match.groupdict().items() if value is not None}
                handle(**named)
                return
        self.hub.unknown.append((self.command, path))
        self._error(404, "RepoNotFound")

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _error(self, status, code):
        self._send(b'{"error": "%s"}' % code.encode(), status, {"X-Error-Code": code})

    def _json(self, answer, status=200):
        self._send(json.dumps(answer).encode(), status, {"Content-Type": "application/json"})

    def _send(self, data, status, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _oid(path: str, data: bytes) -> str:
    """As git and LFS call a file's content."""
    if path.endswith(LFS_SUFFIXES):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _oid(path, data)}
    if path.endswith(LFS_SUFFIXES):
        entry["lfs"] = {"oid": entry["oid"], "size": len(data), "pointerSize": 134}
    return entry


def _folders(files: dict[str, bytes]) -> list[dict]:
    folders = {path.rpartition("/")[0] for path in files if "/" in path}
    return [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
