"""A stand-in for an OpenAI-compatible server. It is no language model, and says so in every answer.

It speaks /v1/chat/completions, /v1/files and /v1/batches over real HTTP, and ranks a prompt's passages by
the SHA-256 of their texts: deterministic, and unrelated to how well they answer the query. On request it
injects the faults of real servers; it counts what it was asked and what it answered in full.

By itself: python -m tests.teachers.llm_server --port 8000 --fault_rate 0.1
"""

import argparse
import json
import threading
import time
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.teachers.llm_answers import (
    BODY_FAULTS,
    ERRORS,
    REJECTIONS,
    STOPS,
    completion,
    in_another_form,
)
from tests.teachers.llm_stand_in import StandIn


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
            self._create_batch(json.loads(data))
        else:
            self._json(404, {"error": {"message": f"no {self.path}", "code": "not_found"}})

    def _create_batch(self, wanted):
        stand_in = self.server.stand_in
        batch = stand_in.create_batch(wanted)
        if stand_in.lost_creations:
            stand_in.lost_creations -= 1
            self.close_connection = True
        else:
            self._json(200, batch)

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
    handler = Handler

    def __init__(self, stand_in, port=0):
        super().__init__(("127.0.0.1", port), self.handler)
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
