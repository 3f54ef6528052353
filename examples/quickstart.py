"""Evolve one response and score both, in ten lines."""

import dspy

import structq

dspy.configure(lm=structq.lm("nano"))
evolve = structq.EvolQuality(num_evolutions=1, seed=42)
scorer = structq.QualityScorer()

instruction, response = "How do I start with compost?", "Pile up kitchen scraps and dry leaves."
evolved = evolve(instruction=instruction, response=response).evolved_response
scored = scorer(instruction=instruction, responses=[response, evolved])
for text, score in zip([response, evolved], scored.expected_scores, strict=True):
    print(f"{score:.2f}  {text}")
