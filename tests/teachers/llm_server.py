"""A stand-in for an OpenAI-compatible server. It is no language model, and says so in every answer.

It speaks /v1/chat/completions, /v1/files and /v1/batches over real HTTP, and ranks a prompt's passages by
the SHA-256 of their texts: deterministic, and unrelated to how well they answer the query. On request it
injects the faults of real servers; it counts what it was asked and what it answered in full.

By itself: python tests/teachers/llm_server.py --port 8000 --fault_rate 0.1
"""

import argparse
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STAND_IN = "stand-in: no language model; order of SHA-256"
PASSAGE = re.compile(r"^\[(\d+)\] (.+)$", re.M)
TRANSPORT_FAULTS = ("429", "500", "timeout", "cut_off_body", "broken_json", "html", "error_in_200")
CONTENT_FAULTS = ("refusal", "refusal_field", "empty", "malformed", "cut_off_answer", "repeats")
REJECTIONS = {"content_filter": "filtered", "no_schema": "response_format is not supported"}
FAULTS = TRANSPORT_FAULTS + CONTENT_FAULTS


def stand_in_order(texts):
    """Indices of the texts, "best" first."""
    return sorted(range(len(texts)), key=lambda index: hashlib.sha256(texts[index].encode()).hexdigest())


def ranking_ids(body):
    """The ids of a request's passages in the stand-in's order."""
    shown = PASSAGE.findall(body["messages"][-1]["content"])
    return [int(shown[index][0]) for index in stand_in_order([text for _, text in shown])]


def ranking_text(body, ids):
    if "response_format" in body:
        listed = list(dict.fromkeys(ids))
        return json.dumps({f"passage_{number}": len(ids) - place for place, number in enumerate(listed)})
    return " > ".join(f"[{number}]" for number in ids)


def completion(body, fault=None):
    """A chat completion, with a fault in its content if one is named."""
    ids = ranking_ids(body)
    text, refusal, finish = ranking_text(body, ids), None, "stop"
    if fault == "refusal":
        text = "I'm sorry, but I can't assist with ranking these passages."
    elif fault == "refusal_field":
        text, refusal = None, "I can't help with that."
    elif fault == "empty":
        text = ""
    elif fault == "malformed":
        text = "The passages are all about the topic; passage [1] stands out."
    elif fault == "cut_off_answer":
        text, finish = text[: len(text) // 3], "length"
    elif fault == "repeats":
        text = ranking_text(body, [*ids, ids[0]])
    prompt_tokens = sum(len(message["content"]) for message in body["messages"]) // 4
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 5 * len(ids)}
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 0,
        "model": STAND_IN,
        "system_fingerprint": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
        "usage": {**usage, "total_tokens": sum(usage.values())},
    }


@dataclass
class StandIn:
    """What a server does and has counted.

    `script`: faults (or None) for the first calls, in order; `fault_rate`: share of the others that get
    one of `faults`, drawn from `seed`. `answered` counts complete answers by request body, `asked` all calls.
    """

    script: list = field(default_factory=list)
    fault_rate: float = 0.0
    faults: tuple = FAULTS
    seed: int = 0
    delay: float = 0.0
    hang: float = 5.0
    retry_after: str = "0.05"
    batch_polls: int = 1
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
            fault = self.next_fault()
            self.served[fault or "ok"] += 1
            return key, fault

    def counts(self):
        return {
            "asked": sum(self.asked.values()),
            "answered": sum(self.answered.values()),
            "distinct_answered": len(self.answered),
            "served": dict(self.served),
            "most_concurrent": self.most_concurrent,
            "batches": len(self.batches),
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
        return batch

    def poll_batch(self, batch_id):
        entry = self.batches[batch_id]
        entry["polls"] += 1
        batch = entry["batch"]
        if batch["status"] in ("validating", "in_progress"):
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
                errors.append(_error_row(row))
            else:
                output.append(self._output_row(row))
        batch["request_counts"] = {"total": len(rows), "completed": len(output), "failed": len(errors)}
        for name, lines in (("output_file_id", output), ("error_file_id", errors)):
            if lines:
                batch[name] = self.add_file("\n".join(lines))

    def _output_row(self, row):
        key = request_key(row["body"])
        self.asked[key] += 1
        self.answered[key] += 1
        response = {"status_code": 200, "request_id": "r", "body": completion(row["body"], self.next_fault())}
        return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})

    def add_file(self, text):
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text
        return file_id


def _error_row(row):
    error = {"code": "server_error", "message": "the server had an error"}
    return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": None, "error": error})


def request_key(body):
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


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
        if fault == "429":
            error = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
            self._json(429, error, {"Retry-After": stand_in.retry_after})
        elif fault == "500":
            self._json(500, {"error": {"message": "internal", "code": "server_error"}})
        elif fault == "401":
            self._json(401, {"error": {"message": f"bad key {self.headers['Authorization']}", "code": "x"}})
        elif fault in REJECTIONS:
            self._json(400, {"error": {"message": REJECTIONS[fault], "code": fault}})
        elif fault == "timeout":
            time.sleep(stand_in.hang)
            self.close_connection = True
        elif fault == "cut_off_body":
            self._cut_off(json.dumps(completion(body)).encode())
        elif fault == "broken_json":
            self._send(200, json.dumps(completion(body)).encode()[:-40], "application/json")
        elif fault == "html":
            self._send(200, b"<html>busy</html>", "text/html")
        elif fault == "error_in_200":
            self._json(200, {"error": {"message": "provider busy", "code": 502}})
        else:
            with stand_in.lock:
                stand_in.answered[key] += 1
            self._json(200, completion(body, fault))

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
    arguments = parser.parse_args()
    server = StandInServer(
        StandIn(fault_rate=arguments.fault_rate, delay=arguments.delay, hang=arguments.hang), arguments.port
    )
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
