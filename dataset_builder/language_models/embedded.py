"""llama.cpp's own server, started here: `--base_url embedded`.

It speaks OpenAI's API on the loopback interface, so that an embedded model goes through the client that every other
server goes through. It runs in a process of its own, which ends with the one that started it, however that ends.
"""

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from dataset_builder.language_models.chat import ChatRequest, Message
from retrieval.errors import InputError
from retrieval.model_files import PACKAGED_LLM, gguf_file

EMBEDDED = "embedded"
CONTEXT_TOKENS = 8192
SECONDS_TO_START = 120


def embedded_model(name_or_path: str) -> Path:
    """The GGUF file that an embedded server of this model reads.

    Raises:
        InputError: for a model that is not embedded, or a file that is missing.
    """
    path = gguf_file(name_or_path)
    if path is None:
        raise InputError(f"{EMBEDDED} serves {PACKAGED_LLM} or a .gguf file, not {name_or_path!r}")
    return path


class PromptReuse:
    """Has llama.cpp read only what a prompt has not in common with the beginning of the one before.

    An answer stays the same to the last bit, whatever was asked before, but where the prompts are equal to their ends:
    a single token would be left, which llama.cpp computes by another product. Such a prompt is read anew.
    """

    def __init__(self) -> None:
        self._last: tuple[Message, ...] = ()

    def fields(self, request: ChatRequest) -> dict[str, object]:
        """What is sent along with `request`, the next one."""
        is_new = request.messages != self._last
        self._last = request.messages
        return {"cache_prompt": is_new}


class EmbeddedServer:
    """A context in which a server of a GGUF model runs; entering it gives the server's base URL.

    It answers one request at a time, so that an answer does not depend on what is asked beside it.
    """

    def __init__(self, name_or_path: str) -> None:
        self._model = embedded_model(name_or_path)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> str:
        command = [sys.executable, "-m", __name__, str(self._model)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        stop = threading.Timer(SECONDS_TO_START, self._process.kill)
        stop.start()
        address = self._process.stdout.readline().strip() if self._process.stdout else ""
        stop.cancel()
        if not address.startswith("http"):
            self.__exit__(None, None, None)
            raise InputError(
                f"the embedded server of {self._model.name} did not start; is the file a GGUF model?"
            )
        return f"{address}/v1"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def serve(model: str) -> None:
    """Serve a GGUF file, say where on stdout, and end when stdin is closed."""
    import torch
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = 1
    # Its results depend on how much of a prompt is read at once, and with it an answer on the prompt before.
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.cpuparams.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
