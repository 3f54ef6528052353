"""Sentences that people wrote, and two good texts in one: what needs no LM.

A sentence asks for one thing that can be done to any response. None says what the mutation is for
(its own first sentence does), and none speaks of how the result is assessed.
"""

from __future__ import annotations

import numpy as np

from structq.optimize.sentences import join_sentences, split_sentences

from .brief import Brief, Proposals

__all__ = ["GENERAL", "SENTENCES", "Crossover", "Library"]

GENERAL = (
    "Keep every fact of the original that is right.",
    "Keep the language and the tone of the original.",
    "Begin with the answer itself, and explain it afterwards.",
    "Leave out introductions, apologies and closing remarks.",
    "Use short sentences and common words.",
    "Add nothing that you are not sure of.",
    "Correct any mistake that you notice, without mentioning it.",
    "Do not repeat the instruction.",
    "Say each thing once.",
    "Write no more than twice as much as the original.",
    "Use a list only where the items are of one kind.",
    "Answer every part of the instruction, in its order.",
    "Make each sentence follow from the one before it.",
    "Change nothing in code, formulas and quotations except mistakes.",
    "If the original is already short and complete, change little.",
    "Replace vague words such as 'things' and 'various' by what is meant.",
)

SENTENCES = {
    "helpfulness": (
        "Add one concrete next step that the reader can take at once.",
        "Say what the reader needs before starting.",
        "Mention the mistake that is made most often here, and how to avoid it.",
        "Where there is a choice, say which option to take in the common case, and why.",
        "Say how the reader can tell that it worked.",
        "Give exact names, numbers or commands in place of general advice.",
        "Answer the question behind the question as well, in a sentence.",
        "Put steps in the order in which they are done.",
    ),
    "relevance": (
        "Remove everything that the instruction did not ask for.",
        "Use the key words of the instruction where they fit.",
        "Follow every limit on length, format, style or audience that the instruction states.",
        "Tie each paragraph back to what was asked.",
        "If the instruction can be read in two ways, answer the likelier one and name the other.",
        "Put what answers the instruction most directly first.",
        "Replace general background by what holds in the case that is asked about.",
    ),
    "deepening": (
        "Give the reason behind each main claim.",
        "Explain how it works, and not only that it works.",
        "Name one case in which it does not hold, and say why.",
        "Show what follows from the answer.",
        "Name the assumption that the answer rests on.",
        "Compare it with the closest alternative and say where they part.",
        "Connect the answer to the principle behind it, in a sentence.",
        "Lead from the simple case to the general one.",
    ),
    "creativity": (
        "Add one fresh comparison from everyday life that makes the main idea clear.",
        "Show the idea at work in a short scene or a small story.",
        "Choose an example that a reader would not expect, and that fits.",
        "Look at the matter from one unusual side.",
        "Use one vivid image, and leave the facts as they are.",
        "Open with a surprising but true remark on the subject.",
        "Avoid stock phrases and worn comparisons.",
    ),
    "details": (
        "Add one specific example with real names or numbers.",
        "Give amounts, dates, units or sizes wherever they are known.",
        "Break the main step down into its parts.",
        "Name the tools, materials or terms that are involved.",
        "Show one worked example from beginning to end.",
        "Say when, where and for whom each point holds.",
        "Describe the result precisely enough to recognise it.",
    ),
}


class Library:
    """Draws sentences for the mutation, or of all if it does not know its name; none twice.

    Args:
        n_texts: Texts a round.
        n_sentences: Sentences of each.
    """

    def __init__(self, n_texts: int = 1, n_sentences: int = 2) -> None:
        self._n_texts = n_texts
        self._n_sentences = n_sentences

    def propose(self, brief: Brief) -> Proposals:
        """No prompt."""
        rng = np.random.default_rng((brief.seed, 13))
        known = {worth.text for worth in (*brief.helped, *brief.harmed)} | set(brief.sentences)
        own = SENTENCES.get(brief.mutation)
        fitting = own if own is not None else tuple(s for part in SENTENCES.values() for s in part)
        fresh = [s for s in (*fitting, *GENERAL) if s not in known]
        texts = []
        for _ in range(self._n_texts):
            if not fresh:
                break
            # The mutation's own sentences come first in the list and are drawn more often.
            pull = np.array([2.0 if s in fitting else 1.0 for s in fresh])
            n = min(self._n_sentences, len(fresh))
            chosen = rng.choice(len(fresh), n, replace=False, p=pull / pull.sum())
            texts.append(join_sentences([*brief.sentences, *(fresh[int(i)] for i in chosen)]))
            fresh = [s for i, s in enumerate(fresh) if i not in set(chosen.tolist())]
        return texts
        yield ""  # a generator that asks nothing


class Crossover:
    """Draws two of the best whole texts and keeps about half of the sentences of each.

    Args:
        n_parents: How many of the best texts take part.
    """

    def __init__(self, n_parents: int = 6) -> None:
        self._n_parents = n_parents

    def propose(self, brief: Brief) -> Proposals:
        """No prompt."""
        parents = [split_sentences(worth.text) for worth in brief.texts[: self._n_parents]]
        if len(parents) < 2:
            return []
        rng = np.random.default_rng((brief.seed, 11))
        one, other = rng.choice(len(parents), 2, replace=False)
        both = dict.fromkeys(parents[int(one)] + parents[int(other)])
        kept = [sentence for sentence in both if rng.random() < 0.6]
        return [join_sentences(kept)] if kept else []
        yield ""  # a generator that asks nothing
