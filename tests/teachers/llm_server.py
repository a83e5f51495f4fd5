"""A stand-in for an OpenAI-compatible server. It is no language model, and says so in every answer.

It speaks /v1/chat/completions, /v1/files and /v1/batches over real HTTP, and ranks a prompt's passages by
the SHA-256 of their texts: deterministic, and unrelated to how well they answer the query. On request it
injects the faults of real servers; it counts what it was asked and what it answered in full.

By itself: python -m tests.teachers.llm_server --port 8000 --fault_rate 0.1
"""

import argparse
import json
import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.teachers.llm_answers import (
    BODY_FAULTS,
    ERRORS,
    FAULTS,
    REJECTIONS,
    STOPS,
    completion,
    error_of,
    error_row,
    in_another_form,
    prompt_hash,
    rejected_row,
    request_key,
    sizes,
)

UNFINISHED = ("validating", "in_progress")


@dataclass
class StandIn:
    """What a server does and has counted.

    `script`: faults (or None) for the first calls, in order; `fault_rate`: share of the others that get
    one of `faults`, drawn from `seed`. `answered` counts complete answers by request body, `asked` all calls.
    `rejected_rate`: share of the prompts that are always answered by `rejection`, told by their texts. `context`:
    tokens of the longest prompt it takes. `refuses`: parameters that it does not take. `requests_per_minute`,
    `tokens_per_minute`: what it allows within `minute` seconds; calls beyond it get a 429.
    """

    script: list = field(default_factory=list)
    fault_rate: float = 0.0
    faults: tuple = FAULTS
    seed: int = 0
    delay: float = 0.0
    hang: float = 5.0
    retry_after: str = "0.05"
    batch_polls: int = 1
    rejected_rate: float = 0.0
    rejection: str = "invalid_prompt"
    context: int = 0
    refuses: tuple = ()
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    minute: float = 60.0
    recent: deque = field(default_factory=deque)
    most_requests: int = 0
    most_tokens: int = 0
    most_queued: int = 0
    completed: Counter = field(default_factory=Counter)
    answered: Counter = field(default_factory=Counter)
    asked: Counter = field(default_factory=Counter)
    served: Counter = field(default_factory=Counter)
    concurrent: int = 0
    most_concurrent: int = 0
    batch_script: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    batches: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        self.random = random.Random(self.seed)

    def next_fault(self):
        if self.script:
            return self.script.pop(0)
        return self.random.choice(self.faults) if self.random.random() < self.fault_rate else None

    def begin(self, body):
        with self.lock:
            self.concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self.concurrent)
            key = request_key(body)
            self.asked[key] += 1
            fault = self.standing_fault(body, key) or self.next_fault()
            self.served[fault or "ok"] += 1
            return key, fault

    def standing_fault(self, body, key):
        """What this server makes of a request at any time; the rate is counted over all calls."""
        if self.count_rate(body):
            return "rate_limit"
        if any(name in body for name in self.refuses):
            return "refused_parameter"
        if self.context and sizes(body)[0] > self.context:
            return "too_long"
        return self.rejection if int(prompt_hash(body)[:8], 16) / 16**8 < self.rejected_rate else None

    def error(self, fault, body):
        return error_of(fault, body, self.refuses, self.context)

    def count_rate(self, body):
        """Whether a call is beyond the limits; one that is does not count."""
        now, tokens = time.monotonic(), sum(sizes(body))
        while self.recent and self.recent[0][0] <= now - self.minute:
            self.recent.popleft()
        requests, total = len(self.recent) + 1, sum(each for _, each in self.recent) + tokens
        self.most_requests, self.most_tokens = max(self.most_requests, requests), max(self.most_tokens, total)
        if 0 < self.requests_per_minute < requests or 0 < self.tokens_per_minute < total:
            return True
        self.recent.append((now, tokens))
        return False

    def complete(self, body, key):
        """An answer is sent in full, and paid."""
        with self.lock:
            self.answered[key] += 1
            for name, tokens in zip(("prompt_tokens", "completion_tokens"), sizes(body), strict=True):
                self.completed[name] += tokens

    def counts(self):
        return {
            "asked": sum(self.asked.values()),
            "answered": sum(self.answered.values()),
            "distinct_answered": len(self.answered),
            "served": dict(self.served),
            "most_concurrent": self.most_concurrent,
            "batches": len(self.batches),
            "most_requests_a_minute": self.most_requests,
            "most_tokens_a_minute": self.most_tokens,
            **self.completed,
        }

    def create_batch(self, wanted):
        batch_id = f"batch_{len(self.batches)}"
        batch = {
            "id": batch_id,
            "object": "batch",
            "endpoint": wanted["endpoint"],
            "completion_window": "24h",
            "created_at": 0,
            "input_file_id": wanted["input_file_id"],
            "metadata": wanted.get("metadata"),
            "status": "validating",
        }
        self.batches[batch_id] = {"batch": batch, "polls": 0}
        running = [each["batch"] for each in self.batches.values() if each["batch"]["status"] in UNFINISHED]
        queued = sum(len(self.files[each["input_file_id"]].splitlines()) for each in running)
        self.most_queued = max(self.most_queued, queued)
        return batch

    def poll_batch(self, batch_id):
        entry = self.batches[batch_id]
        entry["polls"] += 1
        batch = entry["batch"]
        if batch["status"] in UNFINISHED:
            batch["status"] = "in_progress"
            if entry["polls"] > self.batch_polls:
                self._run_batch(batch)
        return batch

    def _run_batch(self, batch):
        """Answer the requests in reverse order; the first `batch_script` entries make some fail."""
        outcome = self.batch_script.pop(0) if self.batch_script else "completed"
        batch["status"] = (
            "failed" if outcome == "failed" else "expired" if outcome == "expired" else "completed"
        )
        if outcome == "failed":
            batch["errors"] = {"object": "list", "data": [{"message": "token_limit_exceeded", "code": "x"}]}
            return
        rows = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        output, errors = [], []
        for place, row in enumerate(reversed(rows)):
            if outcome in ("half_errors", "expired") and place % 2:
                errors.append(error_row(row))
            elif fault := self.standing_fault(row["body"], request_key(row["body"])):
                self.asked[request_key(row["body"])] += 1
                errors.append(rejected_row(row, *self.error(fault, row["body"])))
            else:
                output.append(self._output_row(row))
        batch["request_counts"] = {"total": len(rows), "completed": len(output), "failed": len(errors)}
        for name, lines in (("output_file_id", output), ("error_file_id", errors)):
            if lines:
                batch[name] = self.add_file("\n".join(lines))

    def _output_row(self, row):
        key = request_key(row["body"])
        self.asked[key] += 1
        self.complete(row["body"], key)
        fault = self.next_fault()
        body = in_another_form(completion(row["body"], fault), fault)
        response = {"status_code": 200, "request_id": "r", "body": body}
        return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})

    def add_file(self, text):
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text
        return file_id


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "StandInServer"
    server_version = "TWOLAR-stand-in"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        stand_in = self.server.stand_in
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts == ["stand-in", "counts"]:
            self._json(200, stand_in.counts())
        elif parts[:2] == ["v1", "batches"] and len(parts) == 3:
            self._json(200, stand_in.poll_batch(parts[2]))
        elif parts[:2] == ["v1", "batches"]:
            batches = [entry["batch"] for entry in stand_in.batches.values()][::-1]
            self._json(200, {"object": "list", "data": batches, "has_more": False})
        elif parts[:2] == ["v1", "files"]:
            self._send(200, stand_in.files[parts[2]].encode(), "application/octet-stream")
        else:
            self._json(404, {"error": {"message": f"no {self.path}", "code": "not_found"}})

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/chat/completions":
            self._chat(json.loads(data))
        elif self.path == "/v1/files":
            self._upload(data)
        elif self.path == "/v1/batches":
            self._json(200, self.server.stand_in.create_batch(json.loads(data)))
        else:
            self._json(404, {"error": {"message": f"no {self.path}", "code": "not_found"}})

    def _chat(self, body):
        stand_in = self.server.stand_in
        key, fault = stand_in.begin(body)
        try:
            time.sleep(stand_in.delay)
            self._answer(body, key, fault)
        finally:
            with stand_in.lock:
                stand_in.concurrent -= 1

    def _answer(self, body, key, fault):
        stand_in = self.server.stand_in
        if fault in ERRORS:
            status, error = ERRORS[fault]
            self._json(
                status, {"error": error}, {"Retry-After": stand_in.retry_after} if status == 429 else {}
            )
        elif fault in REJECTIONS or fault in STOPS or fault in ("too_long", "refused_parameter"):
            self._json(*stand_in.error(fault, body))
        elif fault == "timeout":
            time.sleep(stand_in.hang)
            self.close_connection = True
        elif fault == "cut_off_body":
            self._cut_off(json.dumps(completion(body)).encode())
        elif fault == "broken_json":
            self._send(200, json.dumps(completion(body)).encode()[:-40], "application/json")
        elif fault == "html":
            self._send(200, b"<html>busy</html>", "text/html")
        elif fault in BODY_FAULTS:
            self._json(200, in_another_form(completion(body), fault))
        else:
            stand_in.complete(body, key)
            self._json(200, in_another_form(completion(body, fault), fault))

    def _cut_off(self, payload):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload[: len(payload) // 2])
        self.close_connection = True

    def _upload(self, data):
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser(policy=policy.default).parsebytes(head + data)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        content = parts["file"].get_payload(decode=True)
        assert isinstance(content, bytes)
        text = content.decode()
        file_id = self.server.stand_in.add_file(text)
        answer = {"id": file_id, "object": "file", "bytes": len(text), "created_at": 0}
        self._json(200, {**answer, "filename": "x", "purpose": "batch", "status": "processed"})

    def _json(self, status, answer, headers=()):
        self._send(status, json.dumps(answer).encode(), "application/json", dict(headers))

    def _send(self, status, payload, content_type, headers=()):
        try:
            self.send_response(status)
            for name, value in dict(headers).items():
                self.send_header(name, value)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class StandInServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, stand_in, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.stand_in = stand_in

    def handle_error(self, request, client_address):
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault_rate", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--hang", type=float, default=5.0, help="seconds that a time-out hangs")
    parser.add_argument(
        "--rejected_rate", type=float, default=0.0, help="share of prompts that are never accepted"
    )
    parser.add_argument("--context", type=int, default=0, help="tokens of the longest prompt")
    parser.add_argument("--requests_per_minute", type=int, default=0)
    parser.add_argument("--tokens_per_minute", type=int, default=0)
    arguments = vars(parser.parse_args())
    server = StandInServer(
        StandIn(**{name: value for name, value in arguments.items() if name != "port"}), arguments["port"]
    )
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
