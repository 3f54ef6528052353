"""Topics by category, the clauses that fill a response about them, and common words.

The last items of each tuple are held out for evaluation. Every clause fits any topic of its
category; facts follow the topic as their subject, reasons follow "because", examples follow "for
example,", analogies follow "is like", actions are orders to the reader.
"""

from __future__ import annotations

__all__ = ["CLAUSES", "COMMON_WORDS", "TOPICS"]


def _split(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split(";") if item.strip())


TOPICS: dict[str, tuple[str, ...]] = {
    "food": _split(
        """
        sourdough bread; tomato soup; green tea; a slow cooker; fried rice; pickled cabbage;
        dark chocolate; a cast iron pan; olive oil; home brewing; lentil stew; a packed
        lunch; fresh pasta; oat porridge; goat cheese; a spice rack; roast chicken; apple
        jam; cold coffee; a birthday cake; miso; steamed fish; a rice cooker; street food;
        peanut butter; meal planning; a fruit salad; garlic butter; sweet potato mash;
        mushroom pie; ginger beer; a sharp kitchen knife; pumpkin bread; lemon curd
        """
    ),
    "garden": _split(
        """
        a rain barrel; compost; a raised bed; lavender; tomato growing; a herb spiral;
        mulch; an apple tree; weed control; a small pond; garlic planting; a greenhouse;
        seed saving; slug control; a wild meadow; rose pruning; drip watering; a hedge; worm
        farming; crop rotation; a balcony garden; potting soil; a bird feeder; bamboo; moss;
        a vegetable patch; grafting; leaf mould; a bee hotel; strawberry growing; winter
        digging; a shade garden; plum jam making; hedge trimming
        """
    ),
    "home": _split(
        """
        a dripping tap; wall paint; a bookshelf; window cleaning; a wool carpet; attic
        insulation; a smoke alarm; laundry sorting; a guest room; furniture polish; a
        leaking roof; curtain hanging; a front door lock; spring cleaning; a wood stove;
        floor tiling; candle light; a sewing kit; mould removal; a spare key; kitchen
        storage; a doorbell; radiator bleeding; a bath mat; dust; moving house; a tool box;
        a cellar shelf; room lighting; a squeaky hinge; a linen cupboard; carpet repair; a
        mirror frame; drain cleaning
        """
    ),
    "health": _split(
        """
        back pain; a morning stretch; good sleep; yoga; a first aid kit; hand washing; a
        food diary; deep breathing; swimming; sun protection; a flu shot; posture; a running
        plan; stress relief; strength training; eye strain; a balanced diet; vitamin D; foot
        care; a sleep mask; hydration; meditation; a dental check; a walking habit; allergy
        testing; a heating pad; balance training; a rest day; blood pressure; cold showers;
        a sugar break; knee bending; an eye test; quiet breathing
        """
    ),
    "money": _split(
        """
        compound interest; a household budget; an index fund; a savings account; credit card
        debt; a tax return; an emergency fund; a mortgage; car insurance; inflation; a
        pension; a pay rise; a receipt folder; currency exchange; a shared bank account; a
        stock split; pocket money; a rental contract; bargain hunting; a price alert; online
        banking; a gift card; crowdfunding; a bond; invoice tracking; a loan; travel
        insurance; a spending limit; frugal living; a money diary; a late fee; household
        saving; a tax allowance; a bank transfer
        """
    ),
    "work": _split(
        """
        a job interview; email; a weekly meeting; remote work; time tracking; a cover
        letter; public speaking; a project plan; delegation; a team lunch; an annual review;
        note taking; a deadline; conflict at work; a resignation letter; onboarding;
        networking; a work calendar; office noise; a business card; customer feedback;
        overtime; a status report; a to-do list; burnout; a mentor; desk sharing; a pilot
        project; shift work; a slide deck; a handover note; a staff survey; phone etiquette;
        a work bag
        """
    ),
    "learning": _split(
        """
        a second language; chess; touch typing; mental arithmetic; speed reading; the
        guitar; handwriting; a study group; flash cards; geometry; essay writing; a book
        club; spelling; an online course; juggling; public debate; exam preparation;
        drawing; a school garden; algebra; music theory; note cards; a science fair; map
        reading; home schooling; calligraphy; a pen pal; memory training; sign language; a
        reading list; long division; a spelling game; a study timetable; the piano
        """
    ),
    "technology": _split(
        """
        a password manager; cloud storage; a web server; machine learning; a smart watch;
        version control; a backup drive; a home router; open source software; a mobile app;
        unit testing; a database index; text search; a 3D printer; noise cancelling; a
        spreadsheet; screen sharing; an ad blocker; encryption; a video call; a command
        line; data cleaning; a chat bot; a solar charger; two-factor login; a code review; a
        sorting algorithm; an electric bike; a keyboard shortcut; battery care; a web form;
        a spam filter; a memory card; a log file
        """
    ),
    "science": _split(
        """
        gravity; photosynthesis; a black hole; static electricity; the water cycle; plate
        movement; a vaccine; evolution; a magnet; radio; the periodic table; a lever; sound;
        a solar eclipse; friction; soap chemistry; a microscope; magnetism; fermentation;
        rust; a rainbow; statistics; the greenhouse effect; a prism; tidal power; nuclear
        energy; a thermometer; cell division; crystal growth; surface tension; a pendulum;
        air pressure; radio noise; heat transfer
        """
    ),
    "nature": _split(
        """
        a honey bee; a coral reef; bird song; a rain forest; a river delta; the night sky; a
        spider web; animal tracking; a hurricane; snow; wolf behaviour; a desert; tree
        identification; the ocean floor; a volcano; mushroom picking; a salt marsh; bat
        flight; fog; a glacier; ant life; a tide pool; an owl; cave life; a butterfly; wild
        garlic; a forest walk; moon light; whale song; frost; a beaver dam; cloud watching;
        a snail shell; hail
        """
    ),
    "travel": _split(
        """
        a night train; a packing list; jet lag; a road trip; hitchhiking; a youth hostel; a
        city map; camping; a travel diary; a bike tour; island hopping; a passport; mountain
        hiking; a ferry ride; souvenir shopping; a phrase book; a window seat; a walking
        tour; slow travel; a camper van; airport security; a museum visit; a tent; a beach
        day; house swapping; a travel budget; a hotel booking; a rail pass; home exchange; a
        day trip; a border crossing; a canoe trip; a hand luggage bag; a night market
        """
    ),
    "arts": _split(
        """
        watercolour painting; a short story; a string quartet; pottery; film photography; a
        haiku; street theatre; knitting; oil painting; a comic strip; ballet; a choir; wood
        carving; a radio play; jazz; collage; origami; a stage light; a novel; poetry; a
        paper lantern; sculpture; tap dance; a puppet show; embroidery; a portrait; folk
        music; screen printing; a sketch book; glass blowing; a picture frame; shadow play;
        lace making; a theme song
        """
    ),
}

_HANDS_ON = {
    "fact": _split(
        """
        rewards patience more than costly tools; needs only a few simple things; works best
        when done in small steps; takes about an hour from start to finish; is easier on a
        dry and quiet day; lasts for years with a little care; saves money over a season;
        fits into a small space; gets better with every attempt; suits beginners and old
        hands alike; asks for clean hands and a clear table; costs less than most people
        fear; calls for steady attention; goes well with other small jobs
        """
    ),
    "reason": _split(
        """
        slow work leaves time to notice small faults; fresh material reacts better than old;
        warm air carries the moisture away; the early steps decide how the rest turns out;
        clean surfaces hold better than dusty ones; too much force breaks what patience
        keeps; each layer needs time to settle; {topic} depends on steady warmth; good
        material does half of the job; regular care stops small damage from growing; {topic}
        takes up what surrounds it; water finds every small gap; habits form when effort
        stays low; an even pace keeps the quality even
        """
    ),
    "example": _split(
        """
        a family of four in Leeds tried {topic} every Sunday for a month; my aunt Clara
        fixed hers in forty minutes with two tools; one school kitchen served {topic} to
        ninety pupils; a couple in Oslo cut their costs by a third; Tom keeps a jar of it
        beside the window; a small shop in Porto sells twelve kinds; the Weber household
        started {topic} with only five euros; a neighbour named Ines made three batches in
        May; a retired baker spends two mornings a week on {topic}; students in a flat of
        six share {topic} on Mondays; a village in Kent held a contest on it last June;
        grandfather Paul kept notes on {topic} for ten years; two sisters in Lyon swapped
        theirs for a bicycle; a club of eight members tested {topic} in March
        """
    ),
    "analogy": _split(
        """
        tuning an old guitar before every song; learning to ride a bicycle downhill; reading
        a letter twice before sending it; putting money into a jar coin by coin; training a
        young dog; writing the first page of a long book; crossing a river on stones; a slow
        song that ends too soon; packing a suitcase for an unknown country; a good friend
        who never calls but always comes; building a bridge out of matches; waiting for a
        shy cat; a choir finding the same note; sailing with a light wind
        """
    ),
    "action": _split(
        """
        set aside ten minutes tomorrow to try {topic}; write down what you already have; ask
        a neighbour to show you {topic} once; buy the smallest size and test it on Saturday;
        clear a shelf for {topic} tonight; take a photo before and after; put a note about
        {topic} on the fridge; measure the space with a tape; borrow one tool instead of
        buying it; pick a fixed day of the week for {topic}; make a list of three things you
        need; watch someone do {topic} before you begin; throw away whatever is broken; mark
        the date in your diary
        """
    ),
}
_PEOPLE = {
    "fact": _split(
        """
        grows slowly but surely over the years; works best with a plan on paper; takes about
        ten minutes a day; pays off most in the first three months; depends on honest
        numbers; helps people keep a clear head; is free to begin with; needs a fixed place
        in the week; suits nearly every age; improves when two people share it; asks for
        more practice than talent; brings calm into a busy week; can be checked at the end
        of each month; stays useful for a lifetime
        """
    ),
    "reason": _split(
        """
        small amounts add up when they are left alone; the mind remembers what it repeats;
        people trust what they can check; a fixed time removes the need to decide; the body
        adapts to what it does daily; written goals are harder to forget; {topic} gives
        quick feedback; early mistakes cost less than late ones; attention fades after half
        an hour; {topic} lowers the number of choices; other people notice effort before
        talent; a clear limit prevents surprises; {topic} turns a vague wish into a number;
        rest makes the next effort count
        """
    ),
    "example": _split(
        """
        a nurse in Bristol used {topic} for six weeks and slept better; Anna put aside
        twenty euros a month from the age of thirty; a team of nine in Madrid saved two
        hours a week with {topic}; Mr Okafor asked three colleagues before he signed; a
        student named Lena passed after forty days of {topic}; a bakery with four staff
        tried {topic} in spring; one couple paid off 3,000 pounds in a year; the Silva
        family talks about {topic} every Sunday evening; a driver in Turin halved his bill
        within a month; a class of thirty pupils tested {topic} in May; my cousin Ben failed
        twice and then did well; an office in Graz made {topic} a rule on Fridays; a woman
        of seventy learned {topic} in one winter; two interns compared their notes on
        {topic}
        """
    ),
    "analogy": _split(
        """
        planting a tree for your future self; a seat belt that you hope never to need;
        oiling a door before it squeaks; climbing stairs instead of waiting for the lift; a
        map drawn while walking; brushing your teeth; keeping a spare tyre in the boot;
        rolling a snowball down a long hill; a lighthouse on a foggy coast; watering a lawn
        in the evening; a ladder with many small rungs; mending a net before the storm; a
        clock that must be wound each night; laying bricks one row at a time
        """
    ),
    "action": _split(
        """
        write one sentence about {topic} tonight; block half an hour in your calendar this
        week; ask one person you trust about {topic}; compare two offers before Friday; note
        every cost of {topic} for seven days; set a reminder for the first of the month;
        open a folder called {topic}; call the office tomorrow morning; choose one small
        goal and keep it for a week; read the first page of a guide to {topic}; tell a
        friend about your plan; count how often you deal with {topic} this week; cancel one
        thing that you do not use; practise for five minutes after breakfast
        """
    ),
}
_WORLD = {
    "fact": _split(
        """
        follows a few simple laws; can be observed with the naked eye; changes with the
        seasons; moves energy from one place to another; has fascinated people for
        centuries; shows up in places that few expect; keeps its balance without any plan;
        leaves clear traces behind; was first described long ago; differs from one region to
        the next; hides a great deal under a calm surface; can be measured with cheap tools;
        connects many separate things; starts small and spreads far
        """
    ),
    "reason": _split(
        """
        light bends when it passes from air into water; warm air rises and cold air sinks;
        every force meets an equal one; living things save energy where they can; tiny parts
        move faster when they are heated; {topic} follows the path of least resistance;
        water keeps heat longer than land; {topic} needs a steady flow of energy; pressure
        grows with depth; opposite charges pull on each other; {topic} reacts to the length
        of the day; the earth turns once in a day; salt lowers the freezing point; {topic}
        is shaped by what lies around it
        """
    ),
    "example": _split(
        """
        a ranger in Norway filmed {topic} for three nights; in 1887 a farmer near Bath wrote
        down what he saw; a class in Delhi measured {topic} with a ruler and a lamp; the
        coast of Wales shows it twice a day; a pilot met {topic} over the Andes in May; a
        museum in Vienna keeps a model two metres wide; one scientist counted 4,000 cases of
        {topic}; the lake near Zug freezes every tenth winter; a boy named Ravi built
        {topic} from a shoe box; sailors near Chile have known it since 1700; a camera in
        Kenya caught {topic} at dawn; a town of 900 people lives from it; two students in
        Kyoto drew {topic} every morning; an old map of Crete already marks it
        """
    ),
    "analogy": _split(
        """
        a crowd leaving a stadium through one gate; marbles rolling in a bowl; a slow dance
        of many partners; a choir without a conductor; an orchestra tuning before the
        concert; a busy market at noon; dominoes falling in a row; a sponge in a bath; a
        spring that was pushed too far; a whisper passed along a queue; honey running off a
        spoon; a library where every book talks; traffic on a ring road; a mirror with a
        thousand cracks
        """
    ),
    "action": _split(
        """
        go outside tonight and look for {topic}; fill a glass with water and watch it
        closely; draw {topic} from memory; take a walk after the next rain; visit the
        nearest museum that shows {topic}; keep a diary of what you see for a week; borrow a
        book on {topic} from the library; time it with the clock on your phone; explain
        {topic} to a child; compare two photos taken a day apart; build a small model of
        {topic} from paper; ask a local guide; look up {topic} on an old map; measure the
        shadow of a stick at noon
        """
    ),
}
_TOOLS = {
    "fact": _split(
        """
        saves several hours a month; runs on almost any device; needs one careful set-up;
        keeps data safe from simple mistakes; works quietly in the background; can be
        learned in an afternoon; scales from one user to thousands; breaks when nobody looks
        after it; costs nothing in its basic form; replaces a pile of manual work; asks for
        a strong password; fails in ways that are easy to see; stores every change with a
        date; needs an update twice a year
        """
    ),
    "reason": _split(
        """
        machines repeat a step without getting tired; copies in two places rarely fail
        together; {topic} removes the slowest manual step; small changes are easier to undo;
        most attacks begin with a weak password; {topic} keeps a record of every change;
        signals lose strength over distance; {topic} finds errors before users do; memory is
        faster than a disk; sorted data can be searched in a few steps; {topic} hides
        details that nobody needs; shared rules prevent double work; a short test runs in
        seconds; {topic} spreads the load over many parts
        """
    ),
    "example": _split(
        """
        a team of five in Berlin uses {topic} for 200 customers; Maria restored 3,000 photos
        in one evening; a school in Ghent gave {topic} to forty teachers; one nurse typed 80
        reports with it in a week; a shop in Cork cut its errors by half with {topic}; Jin
        wrote {topic} in ninety lines of Python; the city of Turku switched in 2019; a
        start-up with two founders runs {topic} on one laptop; my uncle checks it each
        morning at seven; a library with 60,000 books relies on {topic}; a student called
        Noor fixed hers in ten minutes; a clinic in Bern tested {topic} for a month; the
        school radio saved 300 euros; an app with 1,000 users moved to {topic} last May
        """
    ),
    "analogy": _split(
        """
        a librarian who knows every shelf; a spare key left with a neighbour; a dishwasher
        for dull work; a recipe that anyone can follow; a safety net under a rope walker; a
        post office that never closes; a second pair of eyes; a well sorted tool box; a
        translator between two guests; a notebook that never gets lost; a guard who checks
        each ticket; an assembly line with one worker; a good waiter in a full room; a
        railway timetable
        """
    ),
    "action": _split(
        """
        open the settings and look for {topic}; make a copy of your files before lunch;
        install {topic} on one device today; change the oldest password now; try {topic}
        with a small file first; read the release notes; ask a colleague to review your
        set-up of {topic}; delete what you have not used for a year; run {topic} once on
        test data; write the three main commands on a card; turn on the alerts for {topic};
        note the version number; restart it and check the log; plan an hour for {topic} on
        Friday
        """
    ),
}

CLAUSES: dict[str, dict[str, tuple[str, ...]]] = {
    "food": _HANDS_ON,
    "garden": _HANDS_ON,
    "home": _HANDS_ON,
    "arts": _HANDS_ON,
    "health": _PEOPLE,
    "money": _PEOPLE,
    "work": _PEOPLE,
    "learning": _PEOPLE,
    "science": _WORLD,
    "nature": _WORLD,
    "travel": _HANDS_ON,
    "technology": _TOOLS,
}

COMMON_WORDS: tuple[str, ...] = _split(
    """
    the; be; to; of; and; a; in; that; have; it; for; not; on; with; he; as; you; do; at;
    this; but; his; by; from; they; we; say; her; she; or; an; will; my; one; all; would;
    there; their; what; so; up; out; if; about; who; get; which; go; me; when; make; can;
    like; time; no; just; him; know; take; people; into; year; your; good; some; could;
    them; see; other; than; then; now; look; only; come; its; over; think; also; back;
    after; use; two; how; our; work; first; well; way; even; new; want; because; any; these;
    give; day; most; us; is; are; was; were; been; has; had; did; does; done; being; having;
    where; why; while; each; every; both; few; more; less; many; much; such; own; same;
    very; too; here; still; again; never; always; often; sometimes; perhaps; maybe; almost;
    already; yet; soon; later; today; tomorrow; yesterday; morning; evening; night; week;
    month; hour; minute; second; man; woman; child; boy; girl; friend; family; mother;
    father; brother; sister; parent; son; daughter; baby; person; group; team; member;
    student; teacher; doctor; nurse; farmer; driver; writer; reader; player; user; customer;
    client; manager; worker; owner; leader; speaker; president; king; queen; home; house;
    room; door; window; wall; floor; roof; kitchen; table; chair; bed; garden; street; road;
    city; town; village; country; world; earth; school; class; office; shop; store; market;
    bank; hospital; church; station; airport; hotel; restaurant; library; museum; park;
    river; lake; sea; ocean; mountain; forest; tree; flower; grass; plant; animal; dog; cat;
    bird; fish; horse; cow; sheep; insect; water; fire; air; wind; rain; snow; sun; moon;
    star; light; dark; colour; red; blue; green; yellow; black; white; brown; grey; orange;
    pink; gold; silver; big; small; large; little; long; short; high; low; wide; narrow;
    deep; thick; thin; heavy; old; young; early; late; fast; slow; hot; cold; warm; cool;
    dry; wet; hard; soft; strong; weak; rich; poor; clean; dirty; full; empty; open; closed;
    easy; difficult; simple; complex; safe; dangerous; happy; sad; angry; afraid; tired;
    hungry; sick; healthy; free; busy; ready; right; wrong; true; false; real; clear; sure;
    possible; impossible; important; special; general; common; rare; public; private; local;
    national; international; human; natural; social; political; economic; legal; medical;
    physical; digital; electric; modern; ancient; different; similar; better; best; worse;
    worst; great; nice; bad; fine; beautiful; interesting; funny; strange; famous; popular;
    serious; quiet; loud; number; part; place; point; case; fact; thing; idea; word; name;
    story; book; page; line; letter; paper; picture; music; song; film; game; sport; ball;
    art; history; science; math; language; english; question; answer; problem; solution;
    example; reason; result; cause; effect; change; choice; plan; goal; step; rule; law;
    method; process; system; model; form; type; kind; level; size; shape; amount; rate;
    price; cost; money; dollar; euro; pay; tax; job; business; company; product; service;
    project; report; meeting; message; email; phone; computer; screen; file; folder; data;
    code; program; function; value; variable; list; string; array; object; return; import;
    print; none; null; error; test; loop; input; output; server; network; internet; website;
    link; image; video; text; column; row; index; key; password; account; software;
    hardware; machine; car; bus; train; plane; ship; boat; bike; ticket; trip; travel; map;
    food; bread; rice; meat; egg; milk; cheese; butter; sugar; salt; fruit; apple; banana;
    potato; tomato; soup; tea; coffee; wine; beer; dinner; lunch; breakfast; meal; recipe;
    cup; glass; plate; bowl; knife; spoon; bottle; box; bag; clothes; shirt; shoe; coat;
    hat; dress; body; head; face; eye; ear; nose; mouth; hair; hand; arm; leg; foot; heart;
    blood; bone; skin; brain; mind; health; disease; pain; medicine; sleep; dream; love;
    hate; hope; fear; joy; anger; peace; war; army; soldier; police; crime; court; judge;
    government; state; party; vote; election; power; energy; oil; gas; fuel; heat;
    temperature; weather; season; spring; summer; autumn; winter; nature; space; planet;
    rocket; gravity; chemical; metal; iron; wood; stone; plastic; cotton; leather; wool;
    sound; noise; voice; speech; silence; ask; tell; speak; talk; call; write; read; learn;
    teach; study; understand; explain; describe; show; find; lose; keep; hold; put; set;
    turn; move; run; walk; sit; stand; lie; fall; rise; grow; start; begin; stop; end;
    finish; continue; follow; lead; help; try; need; play; win; buy; sell; spend; save;
    send; bring; carry; pull; push; throw; catch; cut; break; build; create; design; draw;
    paint; sing; dance; cook; eat; drink; wash; wear; close; lock; meet; join; leave;
    arrive; stay; live; die; kill; fight; protect; support; include; contain; consider;
    believe; feel; hear; watch; notice; remember; forget; decide; choose; agree; accept;
    refuse; allow; let; force; require; expect; wait; happen; seem; appear; become; remain;
    develop; improve; increase; reduce; add; remove; replace; compare; measure; count;
    calculate; estimate; check; prove; solve; fix; repair; prepare; organise; manage;
    control; share; provide; offer; receive; order; deliver; produce; making; using;
    working; looking; going; coming; taking; giving; getting; doing; saying; thinking;
    trying; needing; helping; playing; reading; writing; learning; teaching; building;
    creating; running; walking; talking; living; eating; drinking; sleeping; moving;
    changing; growing; made; used; worked; looked; went; came; took; gave; got; said;
    thought; tried; needed; helped; played; wrote; learned; taught; built; created; ran;
    walked; talked; lived; ate; drank; slept; moved; changed; grew; found; lost; kept; held;
    left; felt; heard; saw; knew; began; became; seemed; showed; called; asked; told;
    wanted; liked; loved; opened; started; stopped; ended; finished; followed; turned;
    added; included; considered; however; therefore; although; though; since; unless; until;
    whether; despite; during; before; between; among; through; across; along; around;
    behind; below; above; under; near; inside; outside; without; within; against; toward;
    upon; per; via; versus; instead; rather; quite; really; actually; probably; certainly;
    clearly; simply; usually; finally; recently; quickly; slowly; carefully; together;
    alone; away; dear; sincerely; regards; thank; thanks; please; sorry; hello; welcome;
    yes; okay; mister; madam; sir; note; summary; introduction; conclusion; third; fourth;
    fifth; last; next; previous; following; million; billion; hundred; thousand; percent;
    half; quarter; double; single; january; february; march; april; may; june; july; august;
    september; october; november; december; monday; tuesday; wednesday; thursday; friday;
    saturday; sunday; america; american; europe; european; china; chinese; india; indian;
    japan; japanese; germany; german; france; french; spain; spanish; russia; russian;
    africa; african; london; paris; york; washington; california; university; college;
    research; theory; experiment; evidence; analysis; information; knowledge; skill;
    experience; education; training; practice; exercise; lesson; course; degree; career;
    opportunity; challenge; advantage; benefit; risk; issue; concern; impact; role;
    relationship; community; culture; society; tradition; religion; environment; climate;
    pollution; recycling; technology; innovation; development; growth; strategy; approach;
    technique; tool; resource; feature; option; quality; standard; performance; efficiency;
    accuracy; speed; memory; storage; security; privacy; access; update; version; position;
    direction; distance; length; width; height; weight; area; volume; angle; circle; square;
    triangle; equation; formula; sum; difference; ratio; average; total; maximum; minimum;
    probability; random; sample; population; survey; score; rank; grade; review; comment;
    feedback; author; character; scene; plot; chapter; poem; novel; article; essay;
    paragraph; sentence; phrase; title; topic; subject; theme; style; tone; specific;
    detailed; accurate; effective; efficient; creative; professional; personal; financial;
    technical; traditional; potential; additional; available; necessary; useful; helpful;
    successful; responsible; significant; essential; basic; main; major; minor; various;
    several; certain; particular; individual; entire; whole; complete; final; original;
    current; recent; future; past; present; daily; weekly; monthly; annual; ensure; achieve;
    maintain; identify; recognise; suggest; recommend; discuss; mention; argue; claim;
    express; communicate; encourage; motivate; inspire; influence; affect; address; handle;
    deal; avoid; prevent; limit; focus; target; reach; apply; ability; action; activity;
    age; attention; attempt; balance; base; beginning; behaviour; budget; campaign;
    candidate; capital; category; centre; century; chance; circumstance; citizen; condition;
    connection; content; context; contract; conversation; copy; corner; couple; crowd;
    damage; danger; debate; decision; demand; department; detail; device; discussion;
    document; dozen; economy; edge; effort; element; employee; employer; engine; entry;
    equipment; event; exam; exchange; executive; exhibition; existence; expert; expression;
    factor; failure; faith; fan; farm; fashion; fault; favourite; field; figure; finger;
    flight; foreign; frame
    """
)
