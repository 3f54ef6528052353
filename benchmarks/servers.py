"""What a score call over HTTP costs this process beside bare aiohttp, and how far memory grows.

A server in another process answers every request at once with the same completion, so that only the
client's processor time counts. Both clients keep the same number of requests in flight.

    python benchmarks/servers.py             # 2,000 calls each; --calls 20000 for the memory bar
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANSWER = {
    "id": "c", "object": "chat.completion", "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": '{"scores":[2,1]}'},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
}  # fmt: skip
TEXT = "Air molecules scatter blue light from the sun more than they scatter red light. " * 3


def serve(pipe: Any, most: Any, delay: Any) -> None:
    """Answers until the process is ended; notes how many requests it had at once."""
    body = json.dumps(ANSWER).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    now = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = head.lower().split(b"content-length:")
                if len(fields) > 1:
                    await reader.readexactly(int(fields[1].split(b"\r\n")[0]))
                now += 1
                most.value = max(most.value, now)
                await asyncio.sleep(delay.value)
                writer.write(reply)
                await writer.drain()
                now -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(run())


def rows(n: int) -> Iterator[dict[str, Any]]:
    """Rows that differ."""
    for i in range(n):
        yield {"instruction": f"Why is the sky blue? {i}", "responses": [TEXT, f"{TEXT} {i}"]}


def rss_mb() -> float:
    """Memory that this process holds now."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def with_structq(port: int, n: int, in_flight: int) -> tuple[float, float]:
    """Processor ms a call, and MB from a tenth of the calls to the last."""
    import structq

    lm = structq.lm("vllm/m", api_base=f"http://127.0.0.1:{port}", cache=False, top_logprobs=0)
    scorer = structq.QualityScorer(lm=lm, n_in_flight=in_flight)
    for _ in scorer.stream(rows(100)):
        pass
    began, at_first = time.process_time(), 0.0
    for i, row in enumerate(scorer.stream(rows(n))):
        if row["scores"] != [2.0, 1.0]:
            raise SystemExit(f"a wrong row: {row['metadata']['error']}")
        if i == n // 10:
            at_first = rss_mb()
    return (time.process_time() - began) / n * 1000, rss_mb() - at_first


def with_aiohttp(port: int, n: int, in_flight: int) -> float:
    """Processor ms a call of the least that can be done: a body out, JSON in."""
    import aiohttp

    message = {"role": "user", "content": TEXT * 3}
    body = {"model": "m", "messages": [message], "temperature": 0.0}

    async def run() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            gate = asyncio.Semaphore(in_flight)

            async def one() -> None:
                url = f"http://127.0.0.1:{port}/v1/chat/completions"
                async with gate, session.post(url, json=body) as reply:
                    await reply.json()

            await asyncio.gather(*(one() for _ in range(100)))
            began = time.process_time()
            await asyncio.gather(*(one() for _ in range(n)))
            return (time.process_time() - began) / n * 1000

    return asyncio.run(run())


def main() -> None:
    """Parse the arguments, run both, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--in-flight", type=int, default=32)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    most, delay = context.Value("i", 0), context.Value("d", 0.02)
    server = context.Process(target=serve, args=(theirs, most, delay), daemon=True)
    server.start()
    port = ours.recv()
    print(f"$ python {' '.join(sys.argv)}")
    print(
        f"{given.calls:,} calls each, {given.in_flight} in flight, the server answers after 20 ms"
    )
    bare = with_aiohttp(port, given.calls, given.in_flight)
    cost, grown = with_structq(port, given.calls, given.in_flight)
    print(f"aiohttp    {bare:.3f} ms of processor a call")
    print(f"structq    {cost:.3f} ms of processor a call, {cost / bare:.1f} times aiohttp's")
    print(f"memory     {grown:+.1f} MB from call {given.calls // 10:,} to the last")
    most.value, delay.value = 0, 1.0
    with_structq(port, 1_000, 300)
    print(f"in flight  {most.value} of 300 at once")
    server.terminate()


if __name__ == "__main__":
    main()
