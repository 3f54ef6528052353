"""Instruction families: ways to ask for one thing about a topic, and frames that answer it.

Frames hold named fields for ``str.format``: ``{topic}``, ``{Topic}`` and, in answers, ``{fact}``;
the family "comparison" also uses ``{other}``. An answer states no reason, example, analogy or
focus: those are parts that training adds from ``phrasings``. Knows nothing of topics or scores.
"""

from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of instruction together with replies to it."""

    name: str
    """Short identifier, unique among ``FAMILIES``."""

    instructions: tuple[str, ...]
    """Frames that ask."""

    answers: tuple[str, ...]
    """Frames that answer, one to three sentences, a list, a table or a code block."""

    bare: tuple[str, ...]
    """Replies too short to be an answer; they hold no fields."""

    ask: tuple[str, ...]
    """Noun phrases that name what was asked."""


FAMILIES: tuple[Family, ...] = (
    Family(
        name="definition",
        instructions=(
            "What is {topic}?",
            "Define {topic}.",
            "Explain what {topic} is.",
            "Please tell me what {topic} means.",
            "I keep hearing about {topic} at work. What is it?",
            "Give a definition of {topic}.",
            "How would you define {topic} in a sentence or two?",
            "meaning of {topic}",
            "My neighbour mentioned {topic} yesterday, and I nodded. What did she mean?",
            "Write a dictionary entry for {topic}.",
            "Could you kindly describe what {topic} is?",
            "In plain words, what does one understand by {topic}?",
            "We are writing a glossary. Add an entry on {topic}.",
            "What exactly do people mean by {topic}?",
        ),
        answers=(
            "{Topic} is something that {fact}.",
            "By {topic} one means a thing which {fact}.",
            "{Topic}: noun. Something that {fact}.",
            "The term refers to anything of the sort that {fact}. It is known as {topic}.",
            "In plain words, {topic} is what {fact}.",
            "{Topic} can be defined by what it does: it {fact}.",
            "The definition of {topic} is short. It is a thing that {fact}.",
            "The word {topic} means something which {fact}, in everyday use as well as in books.",
        ),
        bare=(
            "A thing.",
            "It is something people know.",
            "A word.",
            "Hard to define.",
            "Something or other.",
        ),
        ask=(
            "what {topic} is",
            "the meaning of {topic}",
            "a definition of {topic}",
            "how {topic} is defined",
        ),
    ),
    Family(
        name="start",
        instructions=(
            "How do I start with {topic}?",
            "Explain how to get started with {topic}.",
            "I am new to {topic}. Where do I begin?",
            "Give me a beginner's guide to {topic}.",
            "getting started with {topic}",
            "Please show me the way into {topic}.",
            "I have one free Saturday a month and want to get into {topic}. How?",
            "What should a complete beginner in {topic} do?",
            "Describe the opening stages of {topic}.",
            "Could you tell me how one takes up {topic}?",
            "My sister gave me a book about {topic}, but I have not begun. Help me start.",
            "How does a person with no experience begin with {topic}?",
            "List the starting steps for {topic}.",
            "I would be glad of a simple introduction to doing {topic}.",
        ),
        answers=(
            (
                "A beginner in {topic} goes slowly: a small set-up, one trial, then a second one."
                " {Topic} {fact}."
            ),
            (
                "Getting started with {topic} takes three stages: look, try, repeat. At each "
                "stage {topic} {fact}."
            ),
            (
                "Starting with {topic}:\n"
                "1. Read one short guide.\n"
                "2. Note that {topic} {fact}.\n"
                "3. Do a small trial."
            ),
            "Beginners do well with one hour a week of {topic}. From the outset, {topic} {fact}.",
            (
                "The way into {topic} is short. Newcomers learn that {topic} {fact}, and then "
                "make a modest attempt."
            ),
            (
                "To get started:\n"
                "- get the basic things for {topic}\n"
                "- bear in mind that it {fact}\n"
                "- keep a log"
            ),
            "One begins with {topic} on a small scale, with a friend who knows it. {Topic} {fact}.",
            (
                "The opening stage of {topic} is a plain trial run. A beginner soon sees that "
                "{topic} {fact}."
            ),
        ),
        bare=(
            "Just start.",
            "Slowly.",
            "It depends on the person.",
            "With patience.",
            "Anyhow.",
        ),
        ask=(
            "how to begin with {topic}",
            "getting started with {topic}",
            "the way into {topic}",
            "what a beginner in {topic} does",
        ),
    ),
    Family(
        name="benefits",
        instructions=(
            "What are the benefits of {topic}?",
            "Name the advantages of {topic}.",
            "Why do people value {topic}?",
            "Tell me what is good about {topic}.",
            "I must convince my landlord of {topic}. What speaks for it?",
            "advantages of {topic}",
            "Please list the strong points of {topic}.",
            "What does one gain from {topic}?",
            "Is there any use in {topic}? Name the good sides.",
            "Write two sentences on the merits of {topic}.",
            "Could you say what {topic} is good for?",
            "Our club votes on {topic} on Monday. Give me its upsides.",
            "In what ways is {topic} helpful?",
            "Sum up the pros of {topic}.",
        ),
        answers=(
            "The main benefit of {topic} is that it {fact}.",
            "{Topic} has a clear advantage: it {fact}. It also brings some joy.",
            "On the plus side, {topic} {fact}. Another gain is peace of mind.",
            "The benefits are plain. {Topic} {fact}, and it repays the effort.",
            (
                "Pros of {topic}:\n"
                "- it {fact}\n"
                "- it gives satisfaction\n"
                "- it can be shared with others"
            ),
            "People value {topic} for its merits. Above all, it {fact}.",
            "One gains a lot from {topic}. Its strong point is that it {fact}.",
            "What is good about {topic} is that it {fact}; this advantage lasts.",
        ),
        bare=(
            "Many.",
            "It is good.",
            "There are some benefits.",
            "Quite useful.",
            "Yes, it helps.",
        ),
        ask=(
            "the benefits of {topic}",
            "what is good about {topic}",
            "the advantages of {topic}",
            "what {topic} is good for",
        ),
    ),
    Family(
        name="drawbacks",
        instructions=(
            "What are the drawbacks of {topic}?",
            "Name the disadvantages of {topic}.",
            "What is bad about {topic}?",
            "Tell me what speaks against {topic}.",
            "Everyone praises {topic}. I want to hear the weak points.",
            "downsides of {topic}",
            "Please list the cons of {topic}.",
            "What problems does {topic} bring?",
            "Before I spend my bonus on {topic}: what are the downsides?",
            "Write a short warning about {topic}.",
            "Would you be so kind as to name the limits of {topic}?",
            "Where does {topic} fall short?",
            "I need the case against {topic} for a debate.",
            "Which disadvantages of {topic} should be known?",
        ),
        answers=(
            "A drawback of {topic} is the effort. It {fact}, and this does not suit everyone.",
            "The main disadvantage: {topic} {fact}, which can be a burden.",
            "On the minus side, {topic} takes time and care. It also {fact}.",
            "{Topic} has its downsides. It {fact}, and mistakes are costly.",
            "Cons of {topic}:\n- it takes patience\n- it {fact}\n- results are uncertain",
            "What speaks against {topic} is the trouble it brings. It {fact}, wanted or not.",
            "The weak point of {topic} is that it {fact}. Some people give up on account of that.",
            "{Topic} falls short for those in a hurry. It {fact}, a known disadvantage.",
        ),
        bare=(
            "A few.",
            "It is not perfect.",
            "Nothing much.",
            "There are some problems.",
            "Hard to say.",
        ),
        ask=(
            "the drawbacks of {topic}",
            "what is bad about {topic}",
            "the disadvantages of {topic}",
            "the downsides of {topic}",
        ),
    ),
    Family(
        name="comparison",
        instructions=(
            "Compare {topic} with {other}.",
            "What is the difference between {topic} and {other}?",
            "{Topic} or {other}: how do they differ?",
            "How does {topic} compare with {other}?",
            "I can only take up one thing this year. Set {topic} against {other} for me.",
            "{topic} vs {other}",
            "Please contrast {topic} with {other}.",
            "Tell me what sets {topic} apart from {other}.",
            "My brother swears by {other}, I lean to {topic}. Where do the two differ?",
            "Write a short comparison of {topic} and {other}.",
            "Could you weigh {topic} against {other}?",
            "In which respects is {topic} different from {other}?",
            "Put {topic} and {other} side by side.",
            "A pupil mixes up {topic} and {other}. Clear up the difference.",
        ),
        answers=(
            "{Topic} {fact}, whereas {other} goes another way.",
            (
                "The difference is this: {topic} {fact}, while {other} does not do so to the same"
                " degree."
            ),
            "Compared with {other}, {topic} stands out in one respect: it {fact}.",
            (
                "| Point | {Topic} | The other, {other} |\n"
                "| --- | --- | --- |\n"
                "| Main trait | {fact} | differs |"
            ),
            (
                "{Topic} and {other} differ a good deal. The former {fact}; the latter has other "
                "strengths."
            ),
            "Side by side, {topic} {fact}, but {other} asks for other skills.",
            "In contrast to {other}, {topic} {fact}. Both have their friends.",
            "Between {topic} and {other}, the former is the one that {fact}.",
        ),
        bare=(
            "They differ.",
            "Both are fine.",
            "One is better.",
            "Not the same thing.",
            "It depends.",
        ),
        ask=(
            "how {topic} compares with {other}",
            "the difference between {topic} and {other}",
            "{topic} against {other}",
            "what sets {topic} apart from {other}",
        ),
    ),
    Family(
        name="tips",
        instructions=(
            "Give me three tips for {topic}.",
            "List three pieces of advice on {topic}.",
            "What are three good tips for {topic}?",
            "three tips, {topic}",
            "I have been doing {topic} for a year and want to improve. Any three tips?",
            "Please share three tips about {topic}.",
            "Which three things should I bear in mind with {topic}?",
            "Write a list of three tips on {topic}.",
            "It is raining and I have time for {topic}. Three hints, please.",
            "Could you let me have your three best tips for {topic}?",
            "Name three tricks for {topic}.",
            "Our newsletter needs a box with three tips for {topic}.",
            "How can I do better at {topic}? Three points will do.",
            "Offer three short hints on {topic}.",
        ),
        answers=(
            "1. Take your time with {topic}.\n2. Remember that it {fact}.\n3. Keep notes.",
            (
                "- Respect that {topic} {fact}.\n"
                "- Work in small amounts.\n"
                "- Learn from someone with experience."
            ),
            "Three tips for {topic}:\n1. Plan ahead.\n2. Know that it {fact}.\n3. Rest in between.",
            (
                "Tip one: be patient with {topic}. Tip two: it {fact}, so allow for that. Tip "
                "three: stay curious."
            ),
            "1. Keep {topic} simple.\n2. Count on this: it {fact}.\n3. Check the result twice.",
            "My three tips for {topic} are care, order and the knowledge that it {fact}.",
            (
                "- Tip: keep your tools clean.\n"
                "- Tip: {topic} {fact}, so be ready.\n"
                "- Tip: do a little every week."
            ),
            "1. Ask people who know {topic}.\n2. Trust that it {fact}.\n3. Do not rush.",
        ),
        bare=(
            "Be careful.",
            "Practise.",
            "Have fun.",
            "Three tips exist.",
            "Good luck.",
        ),
        ask=(
            "three tips for {topic}",
            "good advice on {topic}",
            "tips about {topic}",
            "what to bear in mind with {topic}",
        ),
    ),
    Family(
        name="summary",
        instructions=(
            "Summarise {topic} in two sentences.",
            "Give a short summary of {topic}.",
            "What are the essentials of {topic}?",
            "{topic}, in brief",
            "I have a minute before my train leaves. Sum up {topic} for me.",
            "Please write an abstract on {topic}.",
            "Tell me about {topic}, but keep it short.",
            "What should I know about {topic} in a nutshell?",
            "Condense the main points on {topic}.",
            "Could you provide an overview of {topic}?",
            "The lecture on {topic} was long and I fell asleep. What was the gist?",
            "Write a brief outline of {topic}.",
            "How would you sum up {topic}?",
            "Boil {topic} down to the main facts.",
        ),
        answers=(
            "To sum up, {topic} {fact}.",
            "{Topic} in brief: it {fact}, and it takes some care.",
            "The essentials of {topic} fit into one line. It {fact}.",
            "Overview: {topic} {fact}. It is open to anyone.",
            "In a nutshell, {topic} {fact}; the rest is detail.",
            "The gist is that {topic} {fact}. Skill grows with time.",
            "Summary: {topic} is within reach of most people, and it {fact}.",
            "Boiled down, the main point about {topic} is that it {fact}.",
        ),
        bare=(
            "It is a topic.",
            "In brief: fine.",
            "There is much to it.",
            "A summary.",
            "That is all.",
        ),
        ask=(
            "a short summary of {topic}",
            "the essentials of {topic}",
            "{topic} in brief",
            "the main points on {topic}",
        ),
    ),
    Family(
        name="child",
        instructions=(
            "Explain {topic} to a child.",
            "Explain {topic} to a six-year-old.",
            "How would you tell a small child about {topic}?",
            "{topic} for kids",
            "My daughter asked about {topic} at breakfast. What can I tell her?",
            "Please describe {topic} in words for children.",
            "Write two lines on {topic} for a picture book.",
            "What is {topic}, said so that a five-year-old understands?",
            "Tell my nephew about {topic}. He is seven and loves dinosaurs.",
            "Could you put {topic} in very simple words?",
            "Introduce {topic} to a primary school class.",
            "A child wants to know about {topic}. Answer.",
            "Make {topic} easy enough for a kindergarten group.",
            "Speak to a child: what about {topic}?",
        ),
        answers=(
            "Do you know {topic}? It {fact}. Isn't that neat?",
            "Listen, little one: {topic} {fact}. Grown-ups enjoy it too.",
            "Once you see {topic}, you will notice something. It {fact}!",
            "Hello, kids! This is {topic}, and it {fact}.",
            "You know, {topic} is not magic. It {fact}, and you can watch it.",
            (
                "Well, sweetheart, {topic} is a thing that {fact}. Big people and small people "
                "love it."
            ),
            "Guess what {topic} does, my dear. It {fact}. Wow!",
            "Children, here is a little secret about {topic}: it {fact}.",
        ),
        bare=(
            "It is for grown-ups.",
            "Ask your mum.",
            "It is nice.",
            "You will know later.",
            "A funny thing.",
        ),
        ask=(
            "{topic} for a child",
            "how to explain {topic} to a child",
            "{topic} in words for small children",
            "a child's view of {topic}",
        ),
    ),
    Family(
        name="message",
        instructions=(
            "Write a message to a friend about {topic}.",
            "Draft a short note to Sam on {topic}.",
            "What could I text my friend about {topic}?",
            "text to a friend: {topic}",
            "Lena is in hospital and bored. Write her a few lines about {topic}.",
            "Please compose a friendly e-mail about {topic}.",
            "Help me tell an old friend about {topic}.",
            "How do I write to a friend that I have discovered {topic}?",
            "Write a postcard that mentions {topic}.",
            "Could you phrase a chat message on {topic} for me?",
            "My friend moved to Oslo and asked for news. Mention {topic}.",
            "Compose a note that gets a friend interested in {topic}.",
            "I want to share my joy in {topic} with a friend. Write it.",
            "Send greetings to a friend and talk about {topic}.",
        ),
        answers=(
            "Hi Sam, greetings from me! I have taken up {topic}. It {fact}. See you soon!",
            "Dear friend, I must tell you about {topic}: it {fact}. Warm wishes, Kim",
            "Hey! Guess what I am into now: {topic}. Turns out it {fact}. Hugs!",
            "Dear Lena,\nI hope you are well. I am busy with {topic}, and it {fact}.\nYours, Jo",
            "Hello Max, just a quick note: {topic} {fact}. I was amazed. Take care!",
            "Hi there, long time no see! My news is {topic}. It {fact}. Love, Ana",
            "Hey Tom, did you know that {topic} {fact}? I wish you could see it. Cheers!",
            "My dear friend, {topic} makes my week. It {fact}. Write back soon!",
        ),
        bare=(
            "Hi.",
            "Dear friend, bye.",
            "See you.",
            "Hey, how are you?",
            "Greetings.",
        ),
        ask=(
            "a message to a friend about {topic}",
            "what to write to a friend about {topic}",
            "a note on {topic} for a friend",
            "a few lines to a friend on {topic}",
        ),
    ),
    Family(
        name="mistakes",
        instructions=(
            "What are common mistakes with {topic}?",
            "Name the usual errors in {topic}.",
            "What do people get wrong about {topic}?",
            "typical mistakes, {topic}",
            "I ruined my last attempt at {topic}. Which mistakes are common?",
            "Please list the pitfalls of {topic}.",
            "Where do beginners go wrong with {topic}?",
            "Describe a frequent mistake in {topic}.",
            "Which errors should be avoided with {topic}?",
            "Could you point out the traps in {topic}?",
            "My uncle says everyone fails at {topic} in the same way. In which way?",
            "Tell me how not to do {topic}.",
            "Write about the classic blunders in {topic}.",
            "What is the mistake that most people make with {topic}?",
        ),
        answers=(
            "A common mistake is to forget that {topic} {fact}.",
            "Many beginners go wrong by rushing {topic}. They overlook that it {fact}.",
            "The usual error with {topic} is impatience. People ignore that it {fact}.",
            "Common mistakes with {topic}:\n- haste\n- poor planning\n- not knowing that it {fact}",
            "The classic blunder in {topic} is to act as though nobody had noticed that it {fact}.",
            "Two pitfalls: doing too much of {topic} at once, and missing that it {fact}.",
            (
                "What people get wrong about {topic} is the basics. It {fact}, and they fail to "
                "see it."
            ),
            (
                "The most frequent error in {topic} is a careless beginning. It {fact}, and many "
                "learn this too late."
            ),
        ),
        bare=(
            "Mistakes happen.",
            "Several.",
            "People get it wrong.",
            "Being careless.",
            "Many errors.",
        ),
        ask=(
            "common mistakes with {topic}",
            "what goes wrong with {topic}",
            "the usual errors in {topic}",
            "what beginners get wrong about {topic}",
        ),
    ),
    Family(
        name="cost",
        instructions=(
            "What does {topic} cost?",
            "How much money do I need for {topic}?",
            "Give me an idea of the price of {topic}.",
            "{topic}: price?",
            "I have forty euros left this month. Is that enough for {topic}?",
            "Please estimate the cost of {topic}.",
            "Is {topic} expensive?",
            "Draw up a rough budget for {topic}.",
            "What should one expect to pay for {topic}?",
            "Could you tell me what {topic} comes to in a year?",
            "My wife handles the money and wants a figure for {topic}.",
            "Write a few words on the expenses of {topic}.",
            "How costly is {topic} these days?",
            "Set out what has to be paid for {topic}.",
        ),
        answers=(
            "{Topic} costs between twenty and sixty euros at the outset. It {fact} at any price.",
            "The price of {topic} varies. A modest budget of thirty euros will do, and it {fact}.",
            "Expect to pay about fifty euros for {topic}. Cheap or dear, it {fact}.",
            "{Topic} is not expensive: some ten euros a month. For that money it {fact}.",
            (
                "| Item | Cost |\n"
                "| --- | --- |\n"
                "| basics | 25 euros |\n"
                "| extras | 15 euros |\n"
                "So {topic} {fact} for 40 euros."
            ),
            (
                "The yearly expense for {topic} is near one hundred euros. It {fact}, and the "
                "cost stays steady."
            ),
            "A small purse is enough for {topic}. Forty euros pay for all, and it {fact}.",
            (
                "Costs for {topic} start low, at five euros, and rise with demands. It {fact} in "
                "either price range."
            ),
        ),
        bare=(
            "It costs money.",
            "Not much.",
            "Quite a lot.",
            "That varies.",
            "Some euros.",
        ),
        ask=(
            "what {topic} costs",
            "the price of {topic}",
            "the money needed for {topic}",
            "a budget for {topic}",
        ),
    ),
    Family(
        name="history",
        instructions=(
            "Tell me the history of {topic}.",
            "Where does {topic} come from?",
            "What is the origin of {topic}?",
            "history of {topic}, short",
            "Our museum opens a room on {topic}. Write a line about its past.",
            "Please describe how {topic} came about.",
            "How old is {topic}?",
            "Outline the development of {topic} over time.",
            "Since when do people know {topic}?",
            "Could you say something on the past of {topic}?",
            "My grandfather claims that he knew {topic} before the war. What is its history?",
            "Write a short history of {topic}.",
            "How has {topic} changed over the centuries?",
            "Trace {topic} back to its roots.",
        ),
        answers=(
            "{Topic} goes back many generations. In the past as now, it {fact}.",
            "The history of {topic} begins with plain needs. Early on, people saw that it {fact}.",
            "Centuries ago, {topic} was a local matter. Later it spread, and it still {fact}.",
            "The origin of {topic} lies in old times. Our ancestors knew that it {fact}.",
            "{Topic} came about bit by bit. Through all the ages it {fact}.",
            (
                "In earlier centuries {topic} was rare. It became common in the last hundred "
                "years, and it {fact}."
            ),
            "Historians trace {topic} to village life long ago. Old records say that it {fact}.",
            "{Topic} has a long past. Tools changed over the decades, yet it {fact}.",
        ),
        bare=(
            "It is old.",
            "Long ago.",
            "Nobody knows.",
            "From the past.",
            "It has a history.",
        ),
        ask=(
            "the history of {topic}",
            "where {topic} comes from",
            "the origin of {topic}",
            "how {topic} came about",
        ),
    ),
    Family(
        name="checklist",
        instructions=(
            "Write a checklist for {topic}.",
            "Make a list that I can tick off for {topic}.",
            "What belongs on a checklist for {topic}?",
            "checklist: {topic}",
            "We leave at seven and I always forget half. A checklist for {topic}, please.",
            "Please put together a checklist on {topic}.",
            "Which items should I check for {topic}?",
            "Prepare a list of things to have ready for {topic}.",
            "I need boxes to tick for {topic}.",
            "Could you draw up a short checklist for {topic}?",
            "My father prints everything. Make him a checklist for {topic}.",
            "Give me the points to check with {topic}.",
            "How would a checklist for {topic} look?",
            "Set up a to-do list on {topic}.",
        ),
        answers=(
            "- [ ] time set aside for {topic}\n- [ ] tools ready\n- [ ] aware that it {fact}",
            (
                "Checklist for {topic}:\n"
                "- [ ] place cleared\n"
                "- [ ] noted that it {fact}\n"
                "- [ ] helper told"
            ),
            "[ ] plan for {topic} written\n[ ] everyone knows that it {fact}\n[ ] supplies bought",
            "To tick off for {topic}:\n[ ] date\n[ ] place\n[ ] reminder that it {fact}",
            "- [ ] {topic} looked over\n- [ ] confirmed that it {fact}\n- [ ] result written down",
            "Checklist\n- [ ] enough time\n- [ ] all parts for {topic}\n- [ ] it {fact}: checked",
            "[ ] safety seen to\n[ ] {topic} prepared\n[ ] fact kept in view: it {fact}",
            (
                "Items to check for {topic}:\n"
                "- [ ] order\n"
                "- [ ] cleanliness\n"
                "- [ ] sign that it {fact}"
            ),
        ),
        bare=(
            "- [ ] things",
            "Check all.",
            "[ ] done",
            "Everything you need.",
            "A list.",
        ),
        ask=(
            "a checklist for {topic}",
            "what to tick off for {topic}",
            "the items to check for {topic}",
            "a list of things to have ready for {topic}",
        ),
    ),
    Family(
        name="table",
        instructions=(
            "Make a table about {topic}.",
            "Show the facts on {topic} as a table.",
            "Put {topic} into rows and columns.",
            "table, {topic}",
            "My slides look empty. I need a small table on {topic}.",
            "Please present {topic} in a Markdown table.",
            "Can you give me an overview of {topic} as a table?",
            "Write a two-column table on {topic}.",
            "Arrange the main points of {topic} in a table.",
            "Would you set {topic} out in tabular form?",
            "The report has room for three rows. Fill them with {topic}.",
            "What would a table about {topic} look like?",
            "Draw up a table with aspects of {topic}.",
            "I prefer tables to prose. Tell me about {topic}.",
        ),
        answers=(
            "| Aspect | {Topic} |\n| --- | --- |\n| Main fact | it {fact} |\n| Effort | medium |",
            "| Point | Remark |\n| --- | --- |\n| Subject | {topic} |\n| What it does | {fact} |",
            (
                "| Feature | Value |\n"
                "| --- | --- |\n"
                "| name | {topic} |\n"
                "| trait | {fact} |\n"
                "| level | easy |"
            ),
            (
                "| {Topic} | Notes |\n"
                "| --- | --- |\n"
                "| known for | it {fact} |\n"
                "| suited to | most people |"
            ),
            "| No. | About {topic} |\n| --- | --- |\n| 1 | it {fact} |\n| 2 | it takes care |",
            "| What | How |\n| --- | --- |\n| {topic} | {fact} |\n| time | an hour or two |",
            (
                "| Row | Content |\n"
                "| --- | --- |\n"
                "| topic | {topic} |\n"
                "| fact | it {fact} |\n"
                "| season | any |"
            ),
            (
                "| Key | Entry |\n"
                "| --- | --- |\n"
                "| subject | {topic} |\n"
                "| property | {fact} |\n"
                "| cost | low |"
            ),
        ),
        bare=(
            "| A | B |",
            "A table.",
            "| --- |",
            "Rows and columns.",
            "| x |",
        ),
        ask=(
            "a table about {topic}",
            "the facts on {topic} as a table",
            "an overview of {topic} in rows and columns",
            "{topic} in a table",
        ),
    ),
    Family(
        name="plan",
        instructions=(
            "Make a weekly plan for {topic}.",
            "Draw up a schedule for {topic}.",
            "How can I spread {topic} over a week?",
            "weekly plan, {topic}",
            "I work shifts and get home late. Plan a week with {topic} for me.",
            "Please write a timetable for {topic}.",
            "Give me a plan from Monday to Sunday for {topic}.",
            "What would a good week of {topic} look like?",
            "Divide {topic} into days.",
            "Could you arrange my week around {topic}?",
            "The kids have holidays next week. Plan some {topic} for each day.",
            "Set up a seven-day programme on {topic}.",
            "On which days should I do what with {topic}?",
            "Schedule {topic} for the coming week.",
        ),
        answers=(
            "Monday: read up on {topic}.\nWednesday: see that it {fact}.\nSunday: rest.",
            "Mon: prepare {topic}.\nThu: check that it {fact}.\nSat: two hours of practice.",
            (
                "Weekly plan for {topic}:\n"
                "- Tuesday: set-up\n"
                "- Friday: it {fact}, so allow an hour\n"
                "- Sunday: review"
            ),
            (
                "The week with {topic}: planning on Monday, work on Thursday, and on Saturday one"
                " sees that it {fact}."
            ),
            (
                "Monday and Tuesday: tools.\n"
                "Wednesday: {topic}, half an hour.\n"
                "Weekend: note how it {fact}."
            ),
            (
                "Schedule: twenty minutes of {topic} each morning, an hour on Sunday. All week "
                "long it {fact}."
            ),
            (
                "Mon: shopping for {topic}\n"
                "Tue: free\n"
                "Wed: main session, when it {fact}\n"
                "Sun: clean up"
            ),
            "Days 1 to 3: basics of {topic}.\nDays 4 to 6: proof that it {fact}.\nDay 7: pause.",
        ),
        bare=(
            "Monday.",
            "Every day.",
            "Some day.",
            "A week.",
            "Plan it.",
        ),
        ask=(
            "a weekly plan for {topic}",
            "a schedule for {topic}",
            "how to spread {topic} over a week",
            "a week with {topic}",
        ),
    ),
    Family(
        name="slogan",
        instructions=(
            "Write a slogan for {topic}.",
            "Invent a catchy line about {topic}.",
            "What would be a good slogan for {topic}?",
            "slogan: {topic}",
            "We print T-shirts for our fair. They need a line on {topic}.",
            "Please create an advertising line for {topic}.",
            "Give me a motto on {topic}.",
            "Come up with a tagline for {topic}.",
            "How could one advertise {topic} in a few words?",
            "Could you think of a snappy phrase for {topic}?",
            "The banner is two metres wide. Put a slogan about {topic} on it.",
            "Make {topic} sound exciting in one line.",
            "I sell things at a market stall. Write my claim for {topic}.",
            "Compose a headline that sells {topic}.",
        ),
        answers=(
            '"{Topic}: it {fact}!"',
            "{Topic} - the one that {fact}!",
            '"Simply {topic}. It {fact}. Always."',
            "More joy, more {topic}: it {fact}!",
            '"Go for {topic}! It {fact}!"',
            "Life is short. {Topic} {fact}!",
            '"{Topic}! Love it. Live it. It {fact}."',
            "Yes to {topic} - it {fact}, day and night!",
        ),
        bare=(
            "Buy it!",
            "The best!",
            "Wow!",
            "New!",
            "A slogan.",
        ),
        ask=(
            "a slogan for {topic}",
            "a catchy line about {topic}",
            "an advertising line for {topic}",
            "a motto on {topic}",
        ),
    ),
    Family(
        name="troubleshooting",
        instructions=(
            "My {topic} does not work out. What is wrong?",
            "Help me find the fault with {topic}.",
            "What can be the matter when {topic} fails?",
            "{topic} problem, help",
            "I followed every instruction and {topic} still failed. What now?",
            "Please help me fix a problem with {topic}.",
            "How do I repair things when {topic} goes wrong?",
            "Troubleshoot {topic} for me.",
            "There is trouble with {topic}. How is it diagnosed?",
            "Could you say what to check when {topic} disappoints?",
            "It worked on Sunday, and now {topic} is a mess. What happened?",
            "List the usual faults with {topic} and their cure.",
            "Find out why {topic} went wrong.",
            "Which fault is behind a failure of {topic}?",
        ),
        answers=(
            "When {topic} fails, the fault is mostly in the set-up. Sound {topic} {fact}.",
            (
                "The trouble with {topic} can be found by a test: if all is well, it {fact}; if "
                "not, a part is faulty."
            ),
            (
                "Symptom: {topic} fails. Fault: wrong timing. Fix: a fresh attempt, after which "
                "it {fact}."
            ),
            "A failure of {topic} is mostly repaired by a clean restart. Once fixed, it {fact}.",
            (
                "| Problem | Fix |\n"
                "| --- | --- |\n"
                "| {topic} stalls | wait a day |\n"
                "| no sign that it {fact} | redo it |"
            ),
            (
                "The problem lies in the conditions, hardly ever in {topic} itself. In the right "
                "place it {fact}."
            ),
            "If {topic} goes wrong, the fault is too much haste. Done slowly, it {fact} again.",
            (
                "Diagnosis: worn or old material. With new material {topic} {fact}, and the "
                "problem is gone."
            ),
        ),
        bare=(
            "Something is wrong.",
            "Turn it off and on.",
            "It is broken.",
            "No idea.",
            "That happens.",
        ),
        ask=(
            "what to do when {topic} goes wrong",
            "the fault with {topic}",
            "how to fix {topic}",
            "trouble with {topic}",
        ),
    ),
    Family(
        name="recommendation",
        instructions=(
            "Would you recommend {topic}?",
            "Give me a recommendation on {topic}.",
            "Should I go for {topic}?",
            "recommend {topic} or not",
            "I turn sixty in May and look for something new. Do you recommend {topic}?",
            "Please give a verdict on {topic}.",
            "Whom does {topic} suit?",
            "Is {topic} worth the trouble?",
            "Write a short review of {topic} with a verdict.",
            "Could you advise me for or against {topic}?",
            "Half of my office raves about {topic}. Is it worth it for me?",
            "Rate {topic} and recommend it or not.",
            "Do you think that {topic} is the right choice?",
            "For whom would you recommend {topic}?",
        ),
        answers=(
            "I recommend {topic} to anyone with a little time. It {fact}.",
            "{Topic} is worth it. It {fact}, and it earns four stars out of five.",
            "Recommended: {topic} {fact}, and it suits calm people best.",
            "My verdict on {topic} is favourable. It {fact}.",
            "{Topic} gets a clear recommendation from me, above all for families. It {fact}.",
            "I would recommend {topic} with one reservation. It {fact}, and not all enjoy that.",
            "Four stars for {topic}! It {fact}; a good choice for beginners.",
            "Worth the trouble? {Topic} is a choice that I recommend, and it {fact}.",
        ),
        bare=(
            "Yes.",
            "Maybe.",
            "Not sure.",
            "Why not.",
            "Up to you.",
        ),
        ask=(
            "whether to go for {topic}",
            "a recommendation on {topic}",
            "whom {topic} suits",
            "a verdict on {topic}",
        ),
    ),
    Family(
        name="code",
        instructions=(
            "Write a Python function about {topic}.",
            "Give me a code snippet on {topic}.",
            "How would you put {topic} into Python?",
            "python stub, {topic}",
            "I teach programming on Fridays, and this week's theme is {topic}. Write a function.",
            "Please write a small script about {topic}.",
            "Show me a Python function that returns a fact on {topic}.",
            "Code a class for {topic}.",
            "Can you express {topic} in a few lines of Python?",
            "Could you supply a Python constant that describes {topic}?",
            "My app has a page on {topic}. I need a function for its text.",
            "Write Python that prints a line about {topic}.",
            "Program something small around {topic}.",
            "Let me have a function stub to do with {topic}.",
        ),
        answers=(
            '```python\ndef describe() -> str:\n    return "{Topic} {fact}."\n```',
            '```python\n# {topic}\nFACT = "it {fact}"\nprint(FACT)\n```',
            '```python\nclass Subject:\n    name = "{topic}"\n    fact = "{fact}"\n```',
            '```python\ndef main():\n    print("{Topic} {fact}.")\n\nmain()\n```',
            '```python\ndef fact(name="{topic}"):\n    return name + " {fact}"\n```',
            (
                "```python\n"
                'topic = "{topic}"\n'
                'notes = ["it {fact}"]\n'
                "for note in notes:\n"
                "    print(topic, note)\n"
                "```"
            ),
            (
                "This function returns the text on {topic}:\n"
                "```python\n"
                "def text():\n"
                '    return "It {fact}."\n'
                "```"
            ),
            '```python\nentry = dict(topic="{topic}", fact="{fact}")\nprint(entry["fact"])\n```',
        ),
        bare=(
            "```python\npass\n```",
            "```python\n...\n```",
            "print()",
            "def f(): pass",
            "Some code.",
        ),
        ask=(
            "a Python snippet about {topic}",
            "code for {topic}",
            "a Python function on {topic}",
            "a small script about {topic}",
        ),
    ),
    Family(
        name="yesno",
        instructions=(
            "Is {topic} for everyone? Yes or no?",
            "Can anyone learn about {topic}?",
            "Is {topic} possible at home?",
            "{topic} at home, yes or no",
            "I live on the fifth floor with two cats. Can I still have to do with {topic}?",
            "Please tell me whether {topic} is something for beginners.",
            "Does {topic} make sense in a small flat?",
            "Answer with yes or no: is {topic} hard?",
            "Is it true that {topic} is fine for all ages?",
            "Would you say that {topic} is safe? Yes or no will do.",
            "My aunt doubts that {topic} works in winter. Is she right?",
            "Decide: is {topic} within reach of a student?",
            "Are there still people who care about {topic}?",
            "Say yes or no to this: {topic} is easy.",
        ),
        answers=(
            "Yes. {Topic} {fact}.",
            "Yes, it is: {topic} {fact}.",
            "No, not always. {Topic} {fact}, and some find that hard.",
            "Yes, certainly. At home or elsewhere, {topic} {fact}.",
            "No. {Topic} {fact}, which is not for everyone.",
            "Yes, on the whole. {Topic} {fact}, and age hardly matters.",
            "The answer is yes, with {topic} as it is: it {fact}.",
            "Yes and no. {Topic} {fact}, yet skill plays its part.",
        ),
        bare=(
            "Yes.",
            "No.",
            "Perhaps.",
            "It depends.",
            "Sure.",
        ),
        ask=(
            "a yes or no on {topic}",
            "whether {topic} can be learnt by anyone",
            "whether {topic} is possible at home",
            "whether {topic} is for everyone",
        ),
    ),
    Family(
        name="facts",
        instructions=(
            "List some facts about {topic}.",
            "Tell me interesting facts on {topic}.",
            "What is known of {topic}?",
            "facts, {topic}",
            "It is quiz night at our pub. I need facts about {topic}.",
            "Please give me a list of facts on {topic}.",
            "Which facts about {topic} are worth knowing?",
            "Name three facts about {topic}.",
            "Share something true about {topic}.",
            "Could you collect a few facts on {topic}?",
            "I write a blog with a fact of the day. Fill it with {topic}.",
            "Write a fact sheet on {topic}.",
            "What do experts know about {topic}?",
            "Surprise me with facts about {topic}.",
        ),
        answers=(
            "- Fact 1: {topic} {fact}.\n- Fact 2: it is found in many countries.",
            "Facts about {topic}:\n1. It {fact}.\n2. It has many friends.\n3. It takes practice.",
            "It is a fact that {topic} {fact}.",
            "Did you know? {Topic} {fact}. It is also older than most people guess.",
            "Known facts: {topic} {fact}, and it occurs in town and country.",
            "* {Topic} {fact}.\n* It has a place in many homes.\n* Books have been written on it.",
            "Fact sheet: {topic}\n- {fact}\n- known worldwide\n- open to all ages",
            "A true and little known fact: {topic} {fact}.",
        ),
        bare=(
            "Facts are facts.",
            "It exists.",
            "Fact 1.",
            "Few facts are known.",
            "True things.",
        ),
        ask=(
            "some facts about {topic}",
            "what is known of {topic}",
            "a list of facts on {topic}",
            "interesting facts on {topic}",
        ),
    ),
    Family(
        name="myths",
        instructions=(
            "What myths are there about {topic}?",
            "Clear up a myth about {topic}.",
            "Which beliefs about {topic} are false?",
            "myth check: {topic}",
            "At dinner somebody claimed odd things about {topic}. What is a myth?",
            "Please correct wrong ideas about {topic}.",
            "Name a popular error about {topic} that people believe.",
            "Write about legends to do with {topic}.",
            "What do people wrongly believe of {topic}?",
            "Could you debunk a myth on {topic}?",
            "My hairdresser tells me tales about {topic}. Which of them are false?",
            "Separate myth from truth for {topic}.",
            "Is there a legend about {topic} that is not true?",
            "Set the record straight on {topic}.",
        ),
        answers=(
            "Myth: {topic} is only for experts. Truth: it {fact}, no matter who is at work.",
            "A false belief says that {topic} is pure luck. In truth it {fact}.",
            "The legend that {topic} is dying out is wrong. It {fact}, now as ever.",
            "| Myth | Truth |\n| --- | --- |\n| {topic} is useless | it {fact} |",
            "Many wrongly believe that {topic} is a secret art. The truth is that it {fact}.",
            "It is a myth that {topic} needs talent. What is true is that it {fact}.",
            "Debunked: {topic} brings no bad luck. It simply {fact}.",
            "Myth 1: {topic} is a fad.\nMyth 2: it is too hard.\nTruth: it {fact}.",
        ),
        bare=(
            "All myths.",
            "Not true.",
            "People say things.",
            "A legend.",
            "That is false.",
        ),
        ask=(
            "myths about {topic}",
            "what is false about {topic}",
            "wrong beliefs about {topic}",
            "a legend about {topic}",
        ),
    ),
    Family(
        name="tools",
        instructions=(
            "Which tools do I need for {topic}?",
            "What equipment does {topic} call for?",
            "Help me choose tools for {topic}.",
            "gear for {topic}",
            "The hardware shop closes at six. What should I buy for {topic}?",
            "Please name the right gear for {topic}.",
            "How do I pick good tools for {topic}?",
            "List the equipment for {topic}.",
            "I inherited a box of old tools. Which ones are of use for {topic}?",
            "Could you say which tools suit {topic}?",
            "What kit do people use for {topic}?",
            "Describe the basic equipment of {topic}.",
            "Choose a tool for {topic} and defend the choice.",
            "What should be in a toolbox for {topic}?",
        ),
        answers=(
            (
                "Basic tools are enough for {topic}: a bowl, a brush and a notebook. It {fact} "
                "with plain gear too."
            ),
            "Good equipment for {topic} is sturdy and simple. It {fact}, so strong tools pay off.",
            "Tools for {topic}:\n- a sharp knife\n- gloves\n- a lamp, to see that it {fact}",
            (
                "The kit for {topic} holds three things: string, scissors, a ruler. With these "
                "tools it {fact}."
            ),
            "For {topic}, hand tools beat machines. It {fact}, and light gear copes with that.",
            (
                "| Tool | Use |\n"
                "| --- | --- |\n"
                "| notebook | record that {topic} {fact} |\n"
                "| box | storage |"
            ),
            (
                "The right gear for {topic} is of medium quality. It {fact}, whatever the brand "
                "of the tools."
            ),
            (
                "A toolbox for {topic} contains tape, a cloth and a small bucket. It {fact}, and "
                "this kit fits that."
            ),
        ),
        bare=(
            "Tools.",
            "Good ones.",
            "Any gear will do.",
            "A hammer.",
            "See the shop.",
        ),
        ask=(
            "the tools for {topic}",
            "what equipment {topic} needs",
            "how to choose tools for {topic}",
            "the right gear for {topic}",
        ),
    ),
    Family(
        name="opinion",
        instructions=(
            "What do you think of {topic}?",
            "Give me your opinion on {topic}.",
            "Do you find {topic} worthwhile?",
            "your view, {topic}",
            "We quarrelled about {topic} over coffee. What is your opinion?",
            "Please share a personal view of {topic}.",
            "Where do you stand on {topic}?",
            "Take a position on {topic}.",
            "Is {topic} overrated in your opinion?",
            "Could you tell me frankly how you see {topic}?",
            "My teacher wants an opinion piece on {topic}. Write its opening.",
            "State what you make of {topic}.",
            "How do you feel about {topic}?",
            "Write an honest comment on {topic}.",
        ),
        answers=(
            "In my opinion {topic} is worthwhile. It {fact}, and I respect that.",
            "I think highly of {topic}. To my mind it is a fine thing that it {fact}.",
            "My view: {topic} {fact}, and it deserves more attention.",
            "Frankly, I find {topic} underrated. It {fact}.",
            "I stand firmly on the side of {topic}. It {fact}, and I am glad of it.",
            (
                "Personally, I have mixed feelings about {topic}. It {fact}, which I admire, yet "
                "it is slow."
            ),
            "To be honest, I believe that {topic} is overrated. It {fact}, and so do other things.",
            (
                "From my point of view, {topic} is a pleasure. I feel that it {fact} in the best "
                "of ways."
            ),
        ),
        bare=(
            "It is fine.",
            "No opinion.",
            "I think so.",
            "Hard to tell.",
            "Good.",
        ),
        ask=(
            "an opinion on {topic}",
            "what one thinks of {topic}",
            "a personal view of {topic}",
            "where one stands on {topic}",
        ),
    ),
)
"""Every family that training draws from, in no particular order."""
