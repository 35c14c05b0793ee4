"""What may be said and written down: texts of a few words without markup, web junk, repetition, or what would hurt."""

from __future__ import annotations

import re

MOST_CHARACTERS = 150  # some ten seconds of speech
MOST_WORDS = 24
FEWEST_WORDS = 4  # of a sentence; an answer may be one word
_CHARACTERS = re.compile(r"[A-Za-z0-9 ,.;:?!'-]*")
_JUNK = re.compile(
    r'https?|www|\.com\b|\.org\b|\bclick\b|subscribe|copyright|all rights|terms of service|lorem ipsum|'
    r'username|password',
    re.IGNORECASE,
)
_OF_ITSELF = re.compile(
    r'\bas an ai\b|language model|\bchat ?bots?\b|\bmy hardware\b|'
    r"\bi(?:'m| am) (?:an? (?:ai|robot|computer|program|bot)\b|(?:ready|here|happy|glad) to\b|glad you asked)|"
    r"\bi'd be happy to\b|\bi don't have (?:personal|access)",
    re.IGNORECASE,
)
# What is said to somebody at home, children too, by a machine: the list leaves out rather too much than too little.
_UNSAFE = re.compile(
    r'\b(?:kill|murder|slaughter|massacre|tortur|rape|rapist|molest|incest|sex|porn|nude|naked|genital|penis|'
    r'vagina|orgas|breast|erotic|prostitut|whore|slut|bitch|bastard|fuck|shit|damn|hell\b|crap\b|piss|arse\b|'
    r'ass\b|asshole|suicid|hang(?:ed|s)? (?:him|her|my|them|your)sel|terroris|genocid|holocaust|nazi|hitler|'
    r'lynch|behead|execut(?:ed|ion)\b|hostage|slave|negro|nigg|gypsy|gypsies|jew(?:s|ish)?\b|muslim|islam|'
    r'christian|catholic|homosexual|lesbian|gay\b|queer|faggot|retard|cripple|savage|racis|cocaine|heroin|'
    r'marijuana|opium|meth\b|drunk|bomb|weapon|gun\b|guns\b|stab(?:s|bed|bing)?\b|strangl|corpse|blood|abort|'
    r'castrat|whip(?:s|ped|ping)?\b)',
    re.IGNORECASE,
)  # fmt: skip
_ASKS = re.compile(
    r"(?:who|what|when|where|why|how|which|whose|is|are|do|does|did|can|could|would|will)(?:'s)?\b", re.IGNORECASE
)
_MARKS = str.maketrans({'‘': "'", '’': "'", '`': "'", '“': '"', '”': '"', '–': '-', '—': '-', '…': '.', '\u00a0': ' '})


def tidy(text: str) -> str:
    """Return `text` on one line, with plain quotation marks, a capital first letter, and a mark at its end."""
    line = ' '.join(text.translate(_MARKS).split()).strip(' "')
    line = re.sub(r'\s+([,.;:?!])', r'\1', line)
    if not line:
        return ''
    line = line[0].upper() + line[1:]
    return line if line[-1] in '.?!' else line.rstrip(',;:-') + ('?' if _ASKS.match(line) else '.')


def fault(text: str, fewest_words: int = FEWEST_WORDS) -> str:
    """Return why a text may not be used, in a word or two; '' where it may."""
    words = text.split()
    if not fewest_words <= len(words) <= MOST_WORDS or len(text) > MOST_CHARACTERS:
        return 'length'
    if not _CHARACTERS.fullmatch(text) or not all(re.search('[A-Za-z0-9]', word) for word in words):
        return 'characters'
    if _JUNK.search(text):
        return 'web junk'
    if re.search(r'\d{5}|[A-Z]{4}|[a-z][A-Z]|(.)\1\1', text):
        return 'no prose'
    if _OF_ITSELF.search(text):
        return 'of itself'
    if _UNSAFE.search(text):
        return 'unsafe'
    plain = [word.strip(",.;:?!'-").lower() for word in words]
    triples = list(zip(plain, plain[1:], plain[2:], strict=False))
    return 'repetition' if len(set(triples)) < len(triples) or any(len(set(three)) == 1 for three in triples) else ''
