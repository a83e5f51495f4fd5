"""A stand-in for Anthropic's Message Batches over HTTP; what it takes and gives has its client's types."""

import json
from datetime import UTC, datetime

from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.messages.batch_create_params import Request
from pydantic import TypeAdapter

from tests.teachers.llm_server import Handler, StandInServer
from tests.teachers.provider_stand_in import answer_to

PATH = "/v1/messages/batches"
NOW = datetime(2026, 11, 26, tzinfo=UTC).isoformat()
ERRORS = {
    "invalid": ("invalid_request_error", "messages.0.content: Input should be a valid string"),
    "overloaded": ("overloaded_error", "Overloaded"),
}


def error(kind, message):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


class AnthropicHandler(Handler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        if self._denied():
            return
        parts = path.removeprefix(PATH).strip("/").split("/")
        stand_in = self.server.stand_in
        if parts == [""]:
            newest_first = [self._batch(number) for number in reversed(range(len(stand_in.batches)))]
            ids = [batch["id"] for batch in newest_first]
            after = dict(pair.split("=") for pair in query.split("&")).get("after_id")
            begin = ids.index(after) + 1 if after else 0
            page = newest_first[begin : begin + 1]  # one a page, whatever was asked for
            self._json(200, {
                "data": page, "has_more": begin + 1 < len(ids),
                "first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None,
            })  # fmt: skip
        elif parts[-1] == "results":
            lines = stand_in.batches[int(parts[0].removeprefix("msgbatch_"))]["results"]
            self._send(200, "".join(line + "\n" for line in lines).encode(), "application/x-jsonl")
        else:
            self._json(200, self._polled(int(parts[0].removeprefix("msgbatch_"))))

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self._denied():
            return
        stand_in = self.server.stand_in
        requests = TypeAdapter(list[Request]).validate_python(json.loads(data)["requests"])
        assert all("seed" not in request["params"] for request in requests)
        stand_in.batches.append({"requests": json.loads(data)["requests"], "polls": 0, "results": None})
        if stand_in.lost_creations:
            stand_in.lost_creations -= 1
            self.close_connection = True
        else:
            self._json(200, self._batch(len(stand_in.batches) - 1))

    def _denied(self):
        key = self.headers["X-Api-Key"] or (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if key == self.server.stand_in.key:
            return False
        self._json(401, error("authentication_error", f"invalid x-api-key: {key}"))
        return True

    def _polled(self, number):
        entry = self.server.stand_in.batches[number]
        entry["polls"] += 1
        if entry["results"] is None and entry["polls"] > self.server.stand_in.polls:
            entry["results"] = [self._result(request) for request in reversed(entry["requests"])]
        return self._batch(number)

    def _batch(self, number):
        entry = self.server.stand_in.batches[number]
        kinds = [json.loads(line)["result"]["type"] for line in entry["results"] or ()]
        counts = {kind: kinds.count(kind) for kind in ("canceled", "errored", "expired", "succeeded")}
        counts["processing"] = len(entry["requests"]) - len(kinds)
        over = entry["results"] is not None
        batch = {
            "id": f"msgbatch_{number}", "type": "message_batch", "request_counts": counts,
            "processing_status": "ended" if over else "in_progress", "created_at": NOW, "expires_at": NOW,
            "results_url": f"{self.server.url}{PATH}/msgbatch_{number}/results" if over else None,
        }  # fmt: skip
        MessageBatch.model_validate(batch)
        return batch

    def _result(self, request):
        params = request["params"]
        outcome = self.server.stand_in.next_outcome(params)
        if self.server.stand_in.refuses in params:
            words = f"`{self.server.stand_in.refuses}` is deprecated for this model."
            result = {"type": "errored", "error": error("invalid_request_error", words)}
        elif outcome in ERRORS:
            result = {"type": "errored", "error": error(*ERRORS[outcome])}
        elif outcome == "expired":
            result = {"type": "expired"}
        else:
            result = {"type": "succeeded", "message": message(params, outcome)}
        line = json.dumps({"custom_id": request["custom_id"], "result": result}, ensure_ascii=False)
        MessageBatchIndividualResponse.model_validate_json(line)
        return line


def message(params, outcome=None):
    text = answer_to(params["messages"], "output_config" in params)
    content = [
        {"type": "thinking", "thinking": "[1] > [2]?", "signature": "s"},
        {"type": "text", "text": text[:4]},
        {"type": "text", "text": text[4:]},
    ]
    refused = outcome == "refusal"
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": params["model"],
        "content": [] if refused else content, "stop_sequence": None,
        "stop_reason": "refusal" if refused else "end_turn",
        "stop_details": {"type": "refusal", "explanation": "not this one"} if refused else None,
        "usage": {"input_tokens": 90, "cache_read_input_tokens": 10, "output_tokens": 30},
    }  # fmt: skip


class AnthropicServer(StandInServer):
    handler = AnthropicHandler

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"
