from structq.signatures import (
    EvolveResponse,
    ScoreCall,
    ScoreResponses,
    registered,
    score_call,
    score_signature,
)


def test_fields_are_those_of_the_contract():
    assert list(EvolveResponse.fields) == ["instruction", "response", "evolved_response"]
    assert list(ScoreResponses.fields) == ["instruction", "responses", "scores"]


def test_score_signature_is_derived_once_for_each_k():
    first = score_signature(ScoreResponses, ScoreCall(2, None))
    assert first is score_signature(ScoreResponses, ScoreCall(2, None))
    assert first is not score_signature(ScoreResponses, ScoreCall(3, None))
    assert registered(first) is ScoreResponses
    assert score_call(first) == ScoreCall(2, None)
    assert score_call(ScoreResponses) is None
    assert registered(ScoreResponses) is ScoreResponses


def test_tuned_instructions_reach_the_derived_signature():
    tuned = ScoreResponses.with_instructions("Judge the facts.")
    assert score_signature(tuned, ScoreCall(2, None)).instructions == "Judge the facts."


def test_instructions_set_in_place_are_seen():
    own = ScoreResponses.with_instructions("Before.")
    score_signature(own, ScoreCall(2, None))
    own.instructions = "After."
    assert score_signature(own, ScoreCall(2, None)).instructions == "After."


def test_rubric_is_appended_as_lines():
    call = ScoreCall(1, (0, 5), ("wrong", "right"))
    assert score_signature(ScoreResponses, call).instructions.endswith("\n0: wrong\n5: right")


def test_list_wise_scale_grows_with_k():
    assert ScoreCall(3, None).scale == (1, 2, 3, 4)
    assert ScoreCall(3, None).of(1).scale == (1, 2)
    assert ScoreCall(3, (1, 6)).of(1).scale == (1, 6)
