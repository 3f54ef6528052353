"""LMs behind servers that speak OpenAI's chat wire: a pooled client, schemas, deadlines."""

from structq.engines.backends.servers.kinds import SERVERS, Server, is_server
from structq.engines.backends.servers.lm import ServerLM

__all__ = ["SERVERS", "Server", "ServerLM", "is_server"]
