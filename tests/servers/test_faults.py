"""What servers say when they cannot answer, in their many forms, over real sockets."""

import gzip
import json
import logging
import socket
import threading
import time
import zlib
from contextlib import contextmanager

import pytest

import structq
from structq.engines.backends.servers.faults import masked, retry_after_s, window_fault
from structq.errors import InputError, LMError, PromptTooLongError
from tests.servers.fake_server import Reply, completion, serving

GOOD = '{"scores":[2,1]}'
PAIR = {"instruction": "Name a prime.", "responses": ["7", "9"]}
KEY = "sk-abcdefghijklmnop1234567890"


def scorer_of(server, *, kind="vllm", **options):
    options = {"num_retries": 0, "cache": False, **options}
    return structq.QualityScorer(lm=structq.lm(f"{kind}/m", api_base=server.address, **options))


def error_of(reply, **options):
    with serving(lambda body: reply) as server, pytest.raises(LMError) as found:
        scorer_of(server, **options)(**PAIR)
    return found.value


def as_json(value, status):
    return Reply(json.dumps(value), status)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "bad schema", "type": "x"}}, "bad schema"),
        ({"error": "bad schema"}, "bad schema"),
        ({"object": "error", "message": "bad schema", "code": 400}, "bad schema"),
        ({"message": "bad schema"}, "bad schema"),
        ({"detail": "bad schema"}, "bad schema"),
        (
            {"detail": [{"msg": "too large", "loc": ["body", "max_tokens"], "type": "v"}]},
            "too large (body.max_tokens)",
        ),
        ({"detail": [{"msg": "one"}, {"msg": "two"}]}, "one; two"),
        ({"error": {"message": {"message": "bad schema"}}}, "bad schema"),
        ({"errors": [{"detail": "bad schema"}]}, "bad schema"),
        ({"error": {"message": "bad", "param": "max_tokens"}}, "bad (max_tokens)"),
        ({"unknown": "form"}, '"unknown":"form"'),
        ([], "[]"),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) else None,
)
def test_the_reason_of_a_server_is_in_the_error(body, said):
    error = error_of(as_json(body, 422))
    assert said in str(error)
    assert "422" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<html><title>502 Bad Gateway</title><body>x</body></html>", "502 Bad Gateway"),
        ("<html><script>var a;</script><p>Try&nbsp;later</p></html>", "Try later"),
        ("plain words", "plain words"),
        ("", "no reason given"),
        ("x" * 5000, "x" * 400 + "..."),
    ],
)
def test_the_reason_of_a_page_is_its_text(page, said):
    error = error_of(Reply(page, 500, "text/html"))
    assert said in str(error)
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "model is loading"},
        {"error": {"message": "model is loading", "code": 503}},
        {"error": {"message": "model is loading", "code": "429"}},
        {"object": "error", "message": "model is loading"},
        {"choices": [{"error": {"message": "model is loading"}, "finish_reason": "error"}]},
        {"choices": [], "error": {"message": "model is loading"}},
        {"detail": "model is loading"},
    ],
    ids=str,
)
def test_an_error_inside_an_answer_is_an_error_and_is_asked_again(answer):
    assert "model is loading" in str(error_of(answer))
    replies = iter([answer, GOOD])
    with serving(lambda body: next(replies)) as server:
        assert scorer_of(server, num_retries=1)(**PAIR).scores == [2.0, 1.0]


@pytest.mark.parametrize(
    "broken",
    [
        Reply("<html>Welcome</html>", kind="text/html"),
        Reply('{"choices": ['),
        Reply(b"\xff\xfe\x00"),
        Reply(""),
        Reply("[1]"),
        Reply("{}", 500),
        Reply("{}", 503),
        Reply("{}", 529),
        Reply("{}", 429),
        Reply("{}", 408),
    ],
    ids=["HTML", "half", "bytes", "nothing", "list", "500", "503", "529", "429", "408"],
)
def test_what_passes_is_asked_again_and_every_request_is_counted(broken):
    replies = iter([broken, broken, GOOD])
    with serving(lambda body: next(replies)) as server:
        found = scorer_of(server, num_retries=2)(**PAIR)
        assert len(server.requests) == 3
    assert found.scores == [2.0, 1.0]
    assert found.metadata["calls"][0]["attempts"] == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_does_not_pass_is_asked_once(status):
    with serving(lambda body: Reply('{"error": "no"}', status)) as server:
        with pytest.raises(LMError) as found:
            scorer_of(server, num_retries=5)(**PAIR)
        assert len(server.requests) == 1
    assert found.value.fatal is (status in (401, 402, 403, 404))
    assert found.value.status == status


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 "
            "tokens (4000 in the messages, 1000 in the completion).",
            (5000, 4096),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your messages resulted "
            "in 5,000 tokens.",
            (5000, 4096),
        ),
        ("Your request has 5000 input tokens, but the model's context is 4096", (5000, 4096)),
        (
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            (5000, 4096),
        ),
        (
            "You passed 5000 input tokens and requested 100 output tokens. However, the model's "
            "context length is only 4096 tokens",
            (5000, 4096),
        ),
        (
            "the request exceeds the available context size. try increasing the context size or "
            "enable context shift: request (5000 tokens) exceeds the available context size (4096)",
            (5000, 4096),
        ),
        (
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            (5000, 4096),
        ),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
            (5000, 4096),
        ),
        ("prompt is too long: 5000 tokens > 4096 maximum", (5000, 4096)),
        (
            "Prompt length (5000) plus max_tokens exceeds maximum input length (4096)",
            (5000, 4096),
        ),
        (
            "Trying to keep the first 5000 tokens when context the overflows. n_keep: 5000 >= "
            "n_ctx: 4096",
            (5000, 4096),
        ),
        (
            "Prompt contains 5000 tokens, too large for model with 4096 maximum context length",
            (5000, 4096),
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_that_in_the_words_of_every_server(said, sizes):
    assert window_fault(said) == sizes
    error = error_of(as_json({"error": {"message": said}}, 400))
    assert isinstance(error, PromptTooLongError)
    assert (error.n_tokens, error.limit) == sizes


@pytest.mark.parametrize(
    "said",
    [
        "max_tokens 5000 is too large: at most 4096 completion tokens are allowed",
        "rate limit reached: 5000 tokens per minute of 4096",
        "bad schema",
        "invalid value 4096 for seed",
    ],
)
def test_other_numbers_are_no_window(said):
    assert not isinstance(error_of(as_json({"error": said}, 400)), PromptTooLongError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait_is_read_in_every_form(headers, seconds):
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize("asked", ["86400", "3600", "61"])
def test_a_wait_that_nobody_would_sit_out_is_an_error_at_once(asked):
    with serving(lambda body: Reply("{}", 429, headers={"Retry-After": asked})) as server:
        started = time.monotonic()
        with pytest.raises(LMError, match=f"asks to wait {int(asked):,} s, and at most 60 s"):
            scorer_of(server, num_retries=3)(**PAIR)
        assert time.monotonic() - started < 5
        assert len(server.requests) == 1


def test_a_long_wait_is_told(caplog, monkeypatch):
    monkeypatch.setattr("structq.engines.backends.servers.client._TOLD_FROM_S", 0.01)
    replies = iter([Reply('{"error": "busy"}', 429, headers={"Retry-After": "0.05"}), GOOD])
    with serving(lambda body: next(replies)) as server, caplog.at_level(logging.WARNING, "structq"):
        scorer_of(server, num_retries=1)(**PAIR)
    assert "waiting" in caplog.text
    assert "busy" in caplog.text


@contextmanager
def raw_server(answer):
    """Accepts connections and hands each to a function, after the request's head."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve():
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection):
        with connection:
            try:
                connection.recv(65536)
                answer(connection, stopped)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        stopped.set()
        listener.close()


def drip(connection, stopped):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not stopped.wait(0.05):
        connection.sendall(b" ")


def silent(connection, stopped):
    stopped.wait(30)


def cut_off(connection, stopped):
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices"')


def cut_chunk(connection, stopped):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc")


def reset(connection, stopped):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def no_http(connection, stopped):
    connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [drip, silent, cut_off, cut_chunk, reset, no_http], ids=lambda f: f.__name__
)
def test_a_connection_that_goes_wrong_is_an_error_within_its_time(answer):
    with raw_server(answer) as address:
        lm = structq.lm("vllm/m", api_base=address, num_retries=0, timeout=0.5)
        started = time.monotonic()
        with pytest.raises(LMError) as found:
            structq.QualityScorer(lm=lm)(**PAIR)
    assert time.monotonic() - started < 5
    assert "\n" not in str(found.value)


def test_the_whole_call_has_a_deadline():
    with raw_server(silent) as address:
        lm = structq.lm("vllm/m", api_base=address, num_retries=50, timeout=0.2, deadline_s=1.0)
        started = time.monotonic()
        with pytest.raises(LMError, match="deadline of 1 s"):
            structq.QualityScorer(lm=lm)(**PAIR)
    assert time.monotonic() - started < 4


def large(connection, stopped):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not stopped.is_set():
        connection.sendall(b"x" * 65536)


def announced(connection, stopped):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    stopped.wait(10)


def bomb(connection, stopped):
    packed = gzip.compress(b"0" * (64 << 20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    connection.sendall(head.encode() + packed)
    stopped.wait(10)


@pytest.mark.parametrize("answer", [large, announced, bomb], ids=lambda f: f.__name__)
def test_an_answer_without_end_is_given_up_at_a_stated_size(answer):
    with raw_server(answer) as address:
        lm = structq.lm("vllm/m", api_base=address, num_retries=3)
        with pytest.raises(LMError, match="larger than 16 MB"):
            structq.QualityScorer(lm=lm)(**PAIR)


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (bytes, "identity")]
)
def test_an_answer_that_is_packed_is_unpacked(pack, name):
    reply = Reply(pack(json.dumps(completion(GOOD)).encode()), headers={"Content-Encoding": name})
    with serving(lambda body: reply) as server:
        assert scorer_of(server)(**PAIR).scores == [2.0, 1.0]


def test_an_answer_in_a_packing_that_nobody_asked_for_is_refused():
    assert "packed as 'br'" in str(error_of(Reply(b"x", headers={"Content-Encoding": "br"})))


def test_a_redirect_is_named_and_not_followed():
    with serving(lambda body: GOOD) as other:
        reply = Reply("", 307, headers={"Location": other.address})
        assert other.address in str(error_of(reply))
        assert other.requests == []


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Authorization: Bearer {KEY}",
        f'{{"authorization": "Bearer {KEY}"}}',
        f"headers={{'Authorization': 'Bearer {KEY}'}}",
        f"Bearer  {KEY} is not valid",
        "Incorrect API key provided: sk-abc***************7890",
        f"api_key={KEY}",
    ],
)
def test_a_key_that_a_server_repeats_is_masked(text):
    error = error_of(as_json({"error": {"message": text}}, 401), api_key=KEY)
    for part in (KEY, KEY[:12], "7890"):
        assert part not in str(error)
    assert "***" in str(error)


def test_a_key_in_an_answer_is_masked_in_the_row_and_in_the_log(caplog):
    with serving(lambda body: completion(f"You sent {KEY}")) as server:
        (row,) = next(scorer_of(server, api_key=KEY).process([PAIR]))
    assert KEY not in json.dumps(row)
    assert KEY not in caplog.text


@pytest.mark.parametrize("text", ["no api key was given", "an API key is needed", "bearer"])
def test_words_about_keys_are_left_as_they_are(text):
    assert masked(text, KEY) == text


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"content": None, "reasoning_content": GOOD}, "reasoning_content"),
        ({"content": "", "reasoning": GOOD}, "reasoning"),
        ({"reasoning_content": GOOD}, "reasoning_content"),
    ],
)
def test_an_answer_that_came_as_reasoning_is_kept_and_may_be_read(message, where):
    answer = completion(None)
    answer["choices"][0]["message"] = {"role": "assistant", **message}
    with serving(lambda body: answer) as server:
        (row,) = next(scorer_of(server).process([PAIR]))
        read = scorer_of(server, reasoning="parse")(**PAIR)
    assert where in row["metadata"]["error"]["message"]
    assert row["metadata"]["calls"][0]["raw_output"] == GOOD
    assert read.scores == [2.0, 1.0]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": '{"scores":'}, {"type": "text", "text": "[2,1]}"}],
        [{"type": "output_text", "text": GOOD}],
        [GOOD],
        [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": GOOD}],
    ],
)
def test_an_answer_in_parts_is_put_together(content):
    answer = completion(None)
    answer["choices"][0]["message"]["content"] = content
    with serving(lambda body: answer) as server:
        assert scorer_of(server)(**PAIR).scores == [2.0, 1.0]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"top_k": 20}, {"top_k": 20}),
        ({"min_p": 0.1, "repetition_penalty": 1.1}, {"min_p": 0.1, "repetition_penalty": 1.1}),
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        (
            {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}, "x": [1]}},
            {"chat_template_kwargs": {"enable_thinking": False}, "x": [1]},
        ),
        ({"top_p": 0.5, "seed": 7, "stop": ["a"]}, {"top_p": 0.5, "seed": 7, "stop": ["a"]}),
        ({"frequency_penalty": 0.5}, {"frequency_penalty": 0.5}),
    ],
)
def test_every_option_that_is_taken_is_on_the_wire(options, sent):
    with serving(lambda body: GOOD) as server:
        scorer_of(server, **options)(**PAIR)
    assert sent.items() <= server.requests[0].items()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vllm", {"num_ctx": 8192}),
        ("openai", {"top_k": 20}),
        ("ollama", {"chat_template_kwargs": {}}),
        ("vllm", {"reasoning": "keep"}),
        ("vllm", {"extra_body": "x"}),
        ("vllm", {"extra_body": {"x": {1}}}),
        ("vllm", {"timeout": 0}),
        ("vllm", {"deadline_s": -1}),
        ("vllm", {"num_retries": 1.5}),
    ],
)
def test_what_a_wire_does_not_carry_is_refused_where_it_is_given(kind, options):
    with pytest.raises(InputError) as found:
        structq.lm(f"{kind}/m", api_base="http://127.0.0.1:1", **options)
    assert found.value.field == next(iter(options))


def test_a_prompt_that_the_server_cut_is_an_error_of_the_row():
    answer = completion(GOOD)
    answer["usage"]["prompt_tokens"] = 4096
    row = {"instruction": "Why? " * 20_000, "responses": ["a", "b"]}
    with serving(lambda body: answer) as server:
        (found,) = next(scorer_of(server, kind="ollama").process([row]))
        (short,) = next(scorer_of(server, kind="ollama").process([PAIR]))
    assert found["metadata"]["error"]["type"] == "PromptTooLongError"
    assert "the server read 4,096 of about 25," in found["metadata"]["error"]["message"]
    assert short["scores"] == [2.0, 1.0]


def test_the_window_of_ollama_goes_over_its_own_wire():
    answer = {
        "model": "m", "message": {"role": "assistant", "content": GOOD}, "done_reason": "stop",
        "prompt_eval_count": 11, "eval_count": 5,
    }  # fmt: skip
    with serving(lambda body: answer) as server:
        found = scorer_of(server, kind="ollama", num_ctx=8192, max_tokens=50)(**PAIR)
    assert found.scores == [2.0, 1.0]
    (body,) = server.requests
    assert body["options"] == {"temperature": 0.0, "num_predict": 50, "num_ctx": 8192}
    assert body["format"]["properties"]["scores"]["items"]["enum"] == [1, 2, 3]
    assert found.metadata["calls"][0]["usage"] == {"input_tokens": 11, "output_tokens": 5}


def test_an_unknown_name_of_openai_at_an_address_is_sent_the_schema():
    with serving(lambda body: GOOD) as server:
        lm = structq.lm("openai/some-new-model", api_base=server.address, api_key="k")
        assert structq.QualityScorer(lm=lm)(**PAIR).scores == [2.0, 1.0]
    assert server.requests[0]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("n", [300])
def test_as_many_requests_are_in_flight_as_the_caller_wants(n):
    together = threading.Barrier(n)

    def script(body):
        together.wait(30)
        return GOOD

    with serving(script) as server:
        scorer = structq.QualityScorer(
            lm=structq.lm("vllm/m", api_base=server.address, num_retries=0), n_in_flight=n
        )
        rows = next(scorer.process([PAIR] * n))
    assert all(row["scores"] for row in rows)
