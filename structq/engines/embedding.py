"""Where a text stands, to a local LM: the mean of its last hidden states; knows nothing of rows.

The last hidden states are what the LM makes its logits of, behind the last norm. Nothing is decoded
and no logits are computed: a text costs one prefill without the head.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from structq.engines.registry import open_headless
from structq.errors import InputError, LMError, PromptTooLongError, shorten

__all__ = ["Embedder"]


class Embedder:
    """Embeds texts, one at a time; safe to use from any thread.

    Args:
        spec: Of a local LM, as `structq.lm` takes it.

    Raises:
        InputError: It names no LM of this process, or one that does not show its hidden states.

    Example:
        >>> embed = Embedder("nano")
        >>> float(embed("Water boils at 100 degrees.") @ embed("At 100 degrees water boils."))
    """

    def __init__(self, spec: str) -> None:
        self._runtime, self._lock = open_headless(spec), threading.Lock()

    def __call__(self, text: str) -> NDArray[np.float32]:
        """The mean over the tokens of a text, of length 1; shape ``(width,)``.

        The tokens are those of the text alone, without a chat template; marks of one stay text.

        Raises:
            InputError: The text has no tokens, or no UTF-8 form.
            PromptTooLongError: It does not fit the LM's window.
            LMError: The LM failed on it.
        """
        runtime = self._runtime
        tokens = runtime.encode_text(text)
        if not tokens:
            raise InputError(f"a text without tokens has no place: {shorten(text)}", field="text")
        if len(tokens) > runtime.window:
            raise PromptTooLongError(n_tokens=len(tokens), limit=runtime.window)
        try:
            with self._lock:
                runtime.rewind(0, 0)
                states = runtime.extend(0, tokens, len(tokens))
        except Exception as error:  # the libraries that run LMs have no common base for theirs
            raise LMError(f"the LM failed: {type(error).__name__}: {error}") from error
        mean = states.mean(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(mean))
        if not 0 < length < np.inf:
            raise LMError(f"the LM's hidden states have no direction: {shorten(text)}")
        return np.asarray(mean / length, np.float32)
