"""The conversation that `soma demo` remembers: two friends, three evenings."""

from __future__ import annotations

SPEAKERS = ("Nora", "Ilya")

# session, when it began, and what was said in turns, Nora first
SESSIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "s1",
        "2026-03-02T18:30:00Z",
        (
            "Long day! I finally signed the lease, I live in Lisbon now, in Alfama.",
            "Congratulations! Does the flat have room for your cello?",
            "Barely. It stands between the bed and the window, but the neighbours like it.",
            "My own news is smaller: I adopted a greyhound from the shelter, she is called Pixel.",
            "A greyhound! Does she get along with your cat?",
            "They share the sofa. I am up at six every morning to walk her along the river.",
            "I could not do that. I work nights at the observatory until April.",
            "What are you measuring there?",
            "The brightness of variable stars, with the old one-metre telescope.",
            "By the way, I found out that I am allergic to hazelnuts. Never bring me any again.",
        ),
    ),
    (
        "s2",
        "2026-05-17T19:10:00Z",
        (
            "The observatory gave me a permanent contract, no more night shifts for a year.",
            "That calls for a cake. When is your sister's wedding?",
            "On the twentieth of June in Porto. I play the cello during the ceremony.",
            "What will you play?",
            "The prelude of the first suite by Bach. I practise it every evening.",
            "Pixel hurt her paw on a shell, so we had two weeks with the vet.",
            "Poor dog. Is she running again?",
            "Slowly. The vet is Doctor Amado, she charges less than the clinic in the centre.",
            "I am learning to bake bread, my starter is called Gustav.",
            "Then Gustav is older than my new job: I started at a ferry company, planning routes.",
        ),
    ),
    (
        "s3",
        "2026-09-05T20:00:00Z",
        (
            "The wedding was lovely, although a string broke in the middle of the prelude!",
            "What did you do?",
            "I laughed, changed the string, and began again. Everybody clapped.",
            "I have booked a trip to Iceland in February, to see the northern lights.",
            "Take a tripod. I can lend you the camera from the observatory.",
            "That would be wonderful. Pixel stays with my mother that week.",
            "My bread still comes out flat, maybe the oven is too cold.",
            "Heat it to two hundred and forty degrees and put a bowl of water in the oven.",
            "I will try it on Sunday. And choir starts again on Thursday, come and listen.",
            "Gladly, if the last ferry plan is done by then.",
        ),
    ),
)

# question, and the beginning of the turn that answers it
QUESTIONS: tuple[tuple[str, str], ...] = (
    ("What kind of dog did Ilya adopt?", "My own news is smaller"),
    ("What is Ilya allergic to?", "By the way, I found out"),
    ("Where does Ilya want to travel to in winter?", "I have booked a trip to Iceland"),
    ("Which piece of music does Nora practise?", "The prelude of the first suite"),
    ("How hot must the oven be?", "Heat it to two hundred and forty"),
)

HOME_QUESTION = "Which city does Nora live in?"
OLD_HOME = "Nora lives in Lisbon."
NEW_HOME = "Nora lives in Trieste."
MOVED_AT = "2026-09-01T00:00:00Z"
WHILE_IN_LISBON = "2026-05-01T00:00:00Z"

# a chain of links: the beginnings of the turns, and the type of the link to the next
CHAIN: tuple[tuple[str, str], ...] = (
    ("Congratulations! Does the flat have room for your cello?", "about"),
    ("On the twentieth of June in Porto", "led_to"),
    ("The wedding was lovely", ""),
)

FORGOTTEN = "Slowly. The vet is Doctor Amado"
FORGOTTEN_QUESTION = "Who is the vet?"
