"""A stand-in for Gemini's files and batches over HTTP; what it takes and gives has its client's types."""

import json
import re

from google.genai import types

from tests.teachers.llm_server import Handler, StandInServer
from tests.teachers.provider_stand_in import answer_to

# Which version of the API is asked is the client's affair.
VERSION = re.compile(r"/v1(beta)?(?=/)")
ERRORS = {
    # google.rpc.Code, as lines of a file of responses have it.
    "invalid": (3, "Unable to submit request because it must have a text parameter."),
    "overloaded": (14, "The model is overloaded. Please try again later."),
    # A batch's requests do not expire one by one.
    "expired": (13, "Internal error encountered."),
}


class GoogleHandler(Handler):
    def do_GET(self):
        path, _, query = VERSION.sub("", self.path).partition("?")
        if self._denied():
            return
        stand_in = self.server.stand_in
        if path == "/batches":
            begin = int(dict(pair.split("=") for pair in query.split("&") if pair).get("pageToken", 0))
            page = {"operations": [self._job(number) for number in range(begin, len(stand_in.batches))][:1]}
            more = {"nextPageToken": str(begin + 1)} if begin + 1 < len(stand_in.batches) else {}
            self._json(200, {**page, **more})
        elif path.startswith("/batches/"):
            self._json(200, self._polled(int(path.rpartition("/")[2])))
        elif path.endswith(":download"):
            lines = stand_in.batches[int(path.rpartition("/out-")[2].removesuffix(":download"))]["results"]
            self._send(200, "".join(line + "\n" for line in lines).encode(), "application/jsonl")
        else:
            self._json(404, {"error": {"code": 404, "message": f"no {path}", "status": "NOT_FOUND"}})

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        stand_in = self.server.stand_in
        path = VERSION.sub("", self.path)
        if path == "/upload/files/session":
            number = len(stand_in.files)
            stand_in.files.append(data.decode())
            body = json.dumps({"file": {"name": f"files/in-{number}", "sizeBytes": str(len(data))}}).encode()
            self._send(200, body, "application/json", {"X-Goog-Upload-Status": "final"})
        elif self._denied():
            return
        elif path == "/upload/files":
            self._json(200, {}, {"X-Goog-Upload-URL": f"{self.server.url}/upload/files/session"})
        else:
            self._create(path, json.loads(data)["batch"])

    def _denied(self):
        if self.headers["x-goog-api-key"] == self.server.stand_in.key:
            return False
        self._json(400, {"error": {
            "code": 400, "status": "INVALID_ARGUMENT",
            "message": f"API key not valid: {self.headers['x-goog-api-key']}. Please pass a valid API key.",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }})  # fmt: skip
        return True

    def _create(self, path, wanted):
        stand_in = self.server.stand_in
        model = path.removeprefix("/models/").removesuffix(":batchGenerateContent")
        assert "/" not in model
        text = stand_in.files[int(wanted["inputConfig"]["fileName"].removeprefix("files/in-"))]
        requests = [json.loads(line) for line in text.split("\n") if line]
        for row in requests:
            config = row["request"].pop("generationConfig", {})
            types.GenerationConfig.model_validate(config)
            types.Content.model_validate(row["request"]["contents"][0])
            row["config"] = config
        stand_in.batches.append(
            {"requests": requests, "name": wanted["displayName"], "polls": 0, "results": None}
        )
        if stand_in.lost_creations:
            stand_in.lost_creations -= 1
            self.close_connection = True
        else:
            self._json(200, self._job(len(stand_in.batches) - 1))

    def _polled(self, number):
        entry = self.server.stand_in.batches[number]
        entry["polls"] += 1
        if entry["results"] is None and entry["polls"] > self.server.stand_in.polls:
            entry["results"] = [self._result(row) for row in reversed(entry["requests"])]
        return self._job(number)

    def _job(self, number):
        entry = self.server.stand_in.batches[number]
        over = entry["results"] is not None
        metadata = {
            "state": "BATCH_STATE_SUCCEEDED" if over else "BATCH_STATE_RUNNING", "displayName": entry["name"],
            "createTime": f"2026-11-26T00:00:{number:02}Z",
        }  # fmt: skip
        output = {"output": {"responsesFile": f"files/out-{number}"}} if over else {}
        return {"name": f"batches/{number}", "metadata": {**metadata, **output}, "done": over}

    def _result(self, row):
        outcome = self.server.stand_in.next_outcome({**row["request"], "config": row["config"]})
        if self.server.stand_in.refuses in row["config"]:
            words = f"generation_config.{self.server.stand_in.refuses} is not supported for this model."
            result = {"error": {"code": 3, "message": words}}
        elif outcome in ERRORS:
            code, words = ERRORS[outcome]
            result = {"error": {"code": code, "message": words}}
        else:
            result = {"response": response(row["request"], outcome)}
        return json.dumps({"key": row["key"], **result}, ensure_ascii=False)


def response(request, outcome=None):
    messages = [{"content": content["parts"][0]["text"]} for content in request["contents"]]
    text = answer_to(messages)
    parts = [{"text": "[1] > [2]?", "thought": True}, {"text": text[:4]}, {"text": text[4:]}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 130,
    }
    answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}
    if outcome == "refusal":
        answer = {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 100},
        }
    types.GenerateContentResponse.model_validate(answer)
    return answer


class GoogleServer(StandInServer):
    handler = GoogleHandler

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"
