"""These rules read English aloud: numbers, dates, units, money, abbreviations, symbols (Figure 16, rules 2–4)."""

from __future__ import annotations

import re
from collections.abc import Callable

from num2words import num2words

from training.speech.normalise.english_words import (
    ABBREVIATIONS,
    ABBREVIATIONS_AT_THE_END,
    CITED,
    CODES,
    COUNTRIES,
    MONEY,
    MONTHS,
    POWERS,
    SCALES,
    SYMBOLS,
    UNITS,
)
from training.speech.normalise.rules import RewriteRule, either, numeral, symbol

_MONTH = r'(?P<month>' + '|'.join(rf'{name}|{name[:3]}t?\.?' for name in MONTHS) + r')'
_NUMBER = r'\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?'
_FREE = r'(?<![\w.])'  # no letter, digit or point just before
_SIGN = r'(?P<sign>(?<![\w.)])[-−+])?'
_TO = r'\s?[-–—~]\s?'
_AMOUNT = rf'(?P<first>{_NUMBER})(?:{_TO}(?P<second>{_NUMBER}))?'
_TIME = r'(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?'
_HALF_DAY = r'(?:\s?(?P<half>[aApP])\.?[mM]\b\.?)'
_DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')


def digits(text: str) -> str:
    """Read `text` digit by digit: '007' → 'zero zero seven'; anything else in `text` is passed over."""
    return ' '.join(_DIGITS[int(character)] for character in text if character.isdigit())


def cardinal(text: str) -> str:
    """Read a number aloud: '1,234.50' → 'one thousand two hundred and thirty-four point five zero'.

    A whole part that is longer than 15 digits or led by 0 is read digit by digit.
    """
    whole, _, fraction = text.replace(',', '').partition('.')
    if len(whole) > 15 or (len(whole) > 1 and whole[0] == '0'):
        said = digits(whole)
    else:
        said = num2words(int(whole)).replace(',', '')
    return f'{said} point {digits(fraction)}' if fraction else said


def ordinal(number: int) -> str:
    """Read an ordinal number aloud: 21 → 'twenty-first'."""
    return num2words(number, to='ordinal').replace(',', '')


def year(number: int) -> str:
    """Read a year aloud: 2024 → 'twenty twenty-four'; 1905 → 'nineteen oh-five'."""
    return num2words(number, to='year').replace(',', '')


def _plural(said: str) -> str:
    return said[:-1] + 'ies' if said.endswith('y') else said + 's'


def _signed(match: re.Match[str]) -> str:
    return {'-': 'minus ', '−': 'minus ', '+': 'plus '}.get(match['sign'] or '', '')


def _span(match: re.Match[str]) -> str:
    said = cardinal(match['first'])
    return f'{said} to {cardinal(match["second"])}' if match['second'] else said


def _is_one(match: re.Match[str]) -> bool:
    return match['first'] == '1' and match['second'] is None


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r'\d+', match[0])
    return ('plus ' if '+' in match[0] else '') + ', '.join(digits(group) for group in groups)


def _date(match: re.Match[str]) -> str:
    number = int(match['number'])
    day = int(match['day'])
    if number > 12 >= day:  # 14/3/2025
        number, day = day, number
    if not (1 <= number <= 12 and 1 <= day <= 31):
        return match[0]
    written = match['year']
    said = year(int(written) + (2000 if len(written) == 2 else 0))
    return f'{MONTHS[number - 1]} {ordinal(day)}, {said}'


def _month_date(match: re.Match[str]) -> str:
    month = next(name for name in MONTHS if name[:3] == match['month'][:3])
    day = match.groupdict().get('day')
    after = match.groupdict().get('year')
    if day is not None and not 1 <= int(day) <= 31:
        return match[0]
    said = month if day is None else f'{month} {ordinal(int(day))}'
    if until := match.groupdict().get('until'):
        said += f' to {ordinal(int(until))}'
    if after is None:
        return said
    return f'{said}{" " if day is None else ", "}{year(int(after))}'


def _time(match: re.Match[str]) -> str:
    hour, minute, second, half = int(match['hour']), int(match['minute']), match['second'], match['half']
    said = cardinal(str(hour))
    if minute:
        said += f' {"oh " if minute < 10 else ""}{cardinal(str(minute))}'
    elif half is None and second is None:
        said += " o'clock" if 1 <= hour <= 12 else ' hundred hours'
    if second is not None:
        said += f'{"" if minute else " zero"} and {cardinal(str(int(second)))} seconds'
    return said if half is None else f'{said} {half.lower()} m' + _full_stop(match)


def _full_stop(match: re.Match[str]) -> str:
    """Return the dot of an abbreviation that is also the last of its sentence."""
    rest = match.string[match.end() :]
    return '.' if match[0].endswith('.') and re.match(r'["\')”’]*(?:\s*$|\s+["\'(“‘]*[A-Z])', rest) else ''


def _hour(match: re.Match[str]) -> str:
    return f'{cardinal(match["hour"])} {match["half"].lower()} m' + _full_stop(match)


def _decade(match: re.Match[str]) -> str:
    number = int(match['year'])
    if number % 1000 == 0:
        return _plural(year(number))
    return _plural(year(number)) if number >= 100 else _plural(cardinal(str(number)))


def _years(match: re.Match[str]) -> str:
    first, second = match['first'], match['second']
    if len(second) == 2:
        return f'{year(int(first))} to {cardinal(second)}'
    return f'{year(int(first))} to {year(int(second))}'


def _money(match: re.Match[str]) -> str:
    found = match.groupdict()
    one, many, cent, cents = MONEY[CODES.get(found['money'], found['money'])]
    country = COUNTRIES[found.get('country') or '']
    scale = found.get('scale')
    amount = match['first'].replace(',', '')
    whole, _, fraction = amount.partition('.')
    said = f'{cardinal(whole)} {country}{one if whole == "1" else many}'
    if scale is not None:
        said = f'{_span(match)} {SCALES[scale]} {country}{many}'
    elif len(fraction) == 2 and match['second'] is None:
        change = f'{cardinal(str(int(fraction)))} {cent if int(fraction) == 1 else cents}'
        if int(fraction) > 0:
            said = change if int(whole) == 0 else f'{said} and {change}'
    elif fraction or match['second'] is not None:
        said = f'{_span(match)} {country}{many}'
    return f'{_signed(match)}{said}{_per(match)}'


def _measure(match: re.Match[str]) -> str:
    one, many = UNITS[match['unit']]
    unit = one if _is_one(match) or match['joint'] else many
    return f'{_signed(match)}{_span(match)} {POWERS[match["power"] or ""]}{unit}{_per(match)}'


def _per(match: re.Match[str]) -> str:
    per = match.groupdict().get('per')
    if per is None:
        return ''
    if per == 's' and match['per_power']:
        return ' per second squared'
    return f' per {POWERS[match["per_power"] or ""]}{UNITS[per][0] if per in UNITS else per}'


def _fraction(match: re.Match[str]) -> str:
    above, below = int(match['above']), int(match['below'])
    if below == 0 or below > 100:
        said = f'{cardinal(match["above"])} over {cardinal(match["below"])}'
    elif below == 1:
        said = f'{cardinal(match["above"])} over one'
    else:
        part = {2: 'half', 4: 'quarter'}.get(below, ordinal(below))
        parts = {'half': 'halves'}.get(part, _plural(part) if not part.endswith('y') else part)
        said = f'{cardinal(match["above"])} {part if above == 1 else parts}'
        if match['whole'] and above == 1:
            said = f'{"an" if below == 8 else "a"} {part}'
    return _signed(match) + (f'{cardinal(match["whole"])} and {said}' if match['whole'] else said)


def _version(match: re.Match[str]) -> str:
    parts = match[0].split('.')
    address = len(parts) == 4 and all(int(part) < 256 for part in parts if len(part) < 4)
    return ' dot '.join(digits(part) if address else cardinal(part) for part in parts)


def _address(match: re.Match[str]) -> str:
    names = {'@': ' at ', '.': ' dot ', '-': ' dash ', '_': ' underscore ', '+': ' plus '}
    return ''.join(names.get(character, character) for character in match[0])


def _cited(match: re.Match[str]) -> str:
    return f'{CITED[match["what"].lower()]} '


def _tall(match: re.Match[str]) -> str:
    feet, inches = match['feet'], match['inches']
    said = f'{cardinal(feet)} {"foot" if feet == "1" else "feet"}'
    return said + (f' {cardinal(inches)} {"inch" if inches == "1" else "inches"}' if inches else '')


def _number(match: re.Match[str]) -> str:
    return _signed(match) + cardinal(match['first'])


def _at_the_end(said: str) -> Callable[[re.Match[str]], str]:
    return lambda match: said + _full_stop(match)


def _saint_or_street(match: re.Match[str]) -> str:
    # 'Main St.' against 'near St. John'
    street = re.search(r'(?:\b[A-Z][a-z]+|first|second|third|th) $', match.string[: match.start()])
    return f'Street{_full_stop(match)}' if street or not re.match(r'\s+[A-Z]', match.string[match.end() :]) else 'Saint'


def _initials(match: re.Match[str]) -> str:
    # 'the U.S. Army' goes on, so only the end of the text is the end of a sentence.
    return ' '.join(match[0].replace('.', '')) + ('' if match.string[match.end() :].strip('"\')” ') else '.')


_PER = (
    rf'(?:/(?P<per>{either(UNITS)}|hour|minute|second|day|week|month|year|person)'
    r'(?P<per_power>[²³]|(?<=m)[23])?(?![A-Za-z\d]))'
)
RULES: list[RewriteRule] = [
    symbol(r'(?<![\w.])[\w.+-]*\w@\w[\w-]*(?:\.[\w-]*\w)+', _address),
    symbol(r'(?<![\w.])(?:[A-Za-z][\w-]*\.)+(?:com|org|net|edu|gov|io|ai|dev|co|uk|cn)\b(?!\.\w)', _address),
    # Telephone numbers
    numeral(r'(?<![\w.])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?![\w-])', _phone),
    numeral(r'(?<![\w.])(?:1[ -])?\(\d{3}\)\s?\d{3}[ .-]\d{4}(?![\w-])', _phone),
    numeral(r'(?<![\w.$€£-])(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?![\w-])', _phone),
    numeral(rf'(?<![\w.$€£-])\d{{3}}-\d{{4}}(?![\w-])(?!\s?(?:{either(UNITS)})(?![A-Za-z]))', _phone),
    # Dates and times
    numeral(r'(?<![\w/.-])(?P<year>\d{4})([-/])(?P<number>\d{1,2})\2(?P<day>\d{1,2})(?:T(?=\d)|(?![\w/-]))', _date),
    numeral(r'(?<![\w/.-])(?P<number>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d\d)(?![\w/-])', _date),
    numeral(
        rf'\b{_MONTH}\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:[-–](?P<until>\d{{1,2}}))?\b'
        r'(?:,?\s(?P<year>[12]\d{3})\b)?(?![.:%]\d)',
        _month_date,
    ),
    numeral(
        rf'{_FREE}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\sof)?\s{_MONTH}(?!\w)(?:,?\s(?P<year>[12]\d{{3}})\b)?',
        _month_date,
    ),
    numeral(rf'\b{_MONTH},?\s(?P<year>[12]\d{{3}})\b', _month_date),
    numeral(r'(?<=\d)\s?[-–—]\s?(?=\d{1,2}:\d\d)', ' to '),
    numeral(rf'{_FREE}{_TIME}(?![\d:]){_HALF_DAY}?', _time),
    numeral(rf'{_FREE}(?P<hour>1[0-2]|[1-9]){_HALF_DAY}', _hour),
    numeral(r"(?<![\w.])['’]?(?P<year>\d0|1[1-9]\d0|20\d0)['’]?s\b", _decade),
    numeral(
        r'(?<![\w.$€£])(?P<first>1[1-9]\d\d|20\d\d)\s?[-–—]\s?(?P<second>1[1-9]\d\d|20\d\d|\d\d)(?![\w%]|\.\d)', _years
    ),
    numeral(r'(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])', _phone),  # account and book numbers
    # Amounts
    numeral(r'(?<![\w.])(?=\.\d)', '0'),
    numeral(
        rf'{_SIGN}(?:(?<![A-Za-z])(?P<country>US|HK|A|C))?(?P<money>[$€£¥₹₩])\s?(?P<first>{_NUMBER})'
        rf'(?:{_TO}[$€£¥₹₩]?(?P<second>{_NUMBER}))?(?:\s?(?P<scale>{"|".join(SCALES)})\b)?(?!\d){_PER}?',
        _money,
    ),
    numeral(rf'{_SIGN}{_FREE}{_AMOUNT}\s?(?P<money>[$€£¥₹₩]|{"|".join(CODES)})(?!\w)', _money),
    numeral(
        rf'{_SIGN}{_FREE}{_AMOUNT}(?:(?P<joint>-)| )?(?P<unit>{either(UNITS)})(?P<power>[²³]|(?<=m)[23])?'
        rf'(?![A-Za-z\d°]){_PER}?',
        _measure,
    ),
    numeral(r"""(?<![\w.'])(?P<feet>\d{1,2})['’](?P<inches>\d{1,2})(?:["”]|'')""", _tall),
    numeral(
        r'(?<![\w.])(?P<number>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b', lambda m: ordinal(int(m[1].replace(',', '')))
    ),
    numeral(r'(?<![\w.])24/7(?![\w/])', 'twenty-four seven'),
    numeral(r'(?<![\w.])50/50(?![\w/])', 'fifty fifty'),
    numeral(
        rf'{_SIGN}(?<![\w./])(?:(?P<whole>\d+)[ -])?(?P<above>\d{{1,3}})/(?P<below>\d{{1,4}})(?![\w/]|\.\d)', _fraction
    ),
    numeral(r'(?<![\w.])\d+(?:\.\d+){2,}(?![\w])', _version),
    numeral(r'\b(?P<what>[Nn]os?|pp?|[Vv]ol|[Cc]h|[Ff]ig)\.\s?(?=\d)', _cited),
    symbol(r'(\d+)\s?[x×]\s?(?=\d)', lambda m: f'{cardinal(m[1])} by '),
    symbol(r'(?<=\d)\s+[-−–]\s+(?=\d)', ' minus '),
    numeral(r'(?<![\w.:])(\d+):(\d+)(?![\w:])', r'\1 to \2'),
    numeral(rf'{_FREE}{_AMOUNT}(?P<scale>k|(?<=\d\d)K|bn|M)(?!\w)', lambda m: f'{_span(m)} {SCALES[m["scale"]]}'),
    numeral(rf'{_FREE}(?P<first>{_NUMBER}){_TO}(?P<second>{_NUMBER})(?![\w-])', _span),
    # Bare numbers that are most likely years
    numeral(r'(?<![\w.,-])(?<!by )(19\d\d|20\d\d)(?![\w-]|[.,]\d)', lambda m: year(int(m[1]))),
    numeral(
        r'(?<=\b[Ii]n )(1[1-8]\d\d)(?![\w-]|[.,]\d)|(?<=\b[Ss]ince )(1[1-8]\d\d)(?![\w-]|[.,]\d)',
        lambda m: year(int(m[0])),
    ),
    # Digits in names such as MP3, 4K and COVID-19
    numeral(r'(?<=[A-Za-z])-?(?=\d)', ' '),
    numeral(rf'{_SIGN}(?P<first>{_NUMBER})(?:(?=[-–][A-Za-z]))', _number),
    numeral(rf'{_SIGN}(?P<first>{_NUMBER})(?=[^\W\d_])', lambda m: f'{_number(m)} '),
    numeral(rf'{_SIGN}(?P<first>{_NUMBER})', _number),
    *(RewriteRule('abbrev_expand', re.compile(rf'(?<![\w.])(?:{p})'), said) for p, said in ABBREVIATIONS.items()),
    *(
        RewriteRule('abbrev_expand', re.compile(rf'(?<![\w.])(?:{p})'), _at_the_end(said))
        for p, said in ABBREVIATIONS_AT_THE_END.items()
    ),
    RewriteRule('abbrev_expand', re.compile(r'(?<!\w)St\.'), _saint_or_street),
    RewriteRule('abbrev_expand', re.compile(r'(?<![\w.])(?:[A-Za-z]\.){2,}'), _initials),
    *(symbol(pattern, said) for pattern, said in SYMBOLS.items()),
    RewriteRule('punctuation_normalize', re.compile(r'[‘’]'), "'"),
    RewriteRule('punctuation_normalize', re.compile(r'[“”„«»]'), '"'),
    RewriteRule('punctuation_normalize', re.compile(r'\s*[—–―]\s*|\s+-+\s+|\s*-{2,}\s*'), ', '),
    RewriteRule('punctuation_normalize', re.compile(r'…'), '...'),
]
