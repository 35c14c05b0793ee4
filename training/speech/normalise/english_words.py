"""These tables hold what the rules of english.py say for months, money, units, abbreviations and symbols."""

from __future__ import annotations

MONTHS = (
    'January', 'February', 'March', 'April', 'May', 'June',
    'July', 'August', 'September', 'October', 'November', 'December',
)  # fmt: skip
SCALES = {
    'k': 'thousand', 'K': 'thousand', 'm': 'million', 'M': 'million', 'bn': 'billion', 'B': 'billion',
    'thousand': 'thousand', 'million': 'million', 'billion': 'billion', 'trillion': 'trillion',
}  # fmt: skip
MONEY = {
    '$': ('dollar', 'dollars', 'cent', 'cents'),
    '€': ('euro', 'euros', 'cent', 'cents'),
    '£': ('pound', 'pounds', 'penny', 'pence'),
    '¥': ('yen', 'yen', 'sen', 'sen'),
    '₹': ('rupee', 'rupees', 'paisa', 'paise'),
    '₩': ('won', 'won', 'jeon', 'jeon'),
}
CODES = {'USD': '$', 'EUR': '€', 'GBP': '£', 'JPY': '¥', 'INR': '₹', 'KRW': '₩'}
COUNTRIES = {'US': 'US ', 'A': 'Australian ', 'C': 'Canadian ', 'HK': 'Hong Kong ', '': ''}

_PREFIXES = {'k': 'kilo', 'm': 'milli', 'c': 'centi', 'M': 'mega', 'G': 'giga', 'T': 'tera', 'n': 'nano', 'µ': 'micro'}


def _prefixed(prefixes: str, symbol: str, name: str) -> dict[str, tuple[str, str]]:
    names = {f'{prefix}{symbol}': _PREFIXES.get(prefix, '') + name for prefix in ('', *prefixes)}
    return {unit: (one, one if one.endswith('hertz') else f'{one}s') for unit, one in names.items()}


UNITS: dict[str, tuple[str, str]] = {
    **_prefixed('kcmnµ', 'm', 'meter'),
    **_prefixed('kmµ', 'g', 'gram'),
    **_prefixed('mc', 'L', 'liter'),
    **_prefixed('mc', 'l', 'liter'),
    **_prefixed('mnµ', 's', 'second'),
    **_prefixed('kMG', 'Hz', 'hertz'),
    **_prefixed('kmMG', 'W', 'watt'),
    **_prefixed('km', 'V', 'volt'),
    **_prefixed('k', 'Pa', 'pascal'),
    **{f'{p}B': (f'{n}byte', f'{n}bytes') for p, n in {'k': 'kilo', 'K': 'kilo', **_PREFIXES}.items() if p in 'kKMGT'},
    **{f'{p}bps': (f'{_PREFIXES[p]}bit per second', f'{_PREFIXES[p]}bits per second') for p in 'kMG'},
    'mA': ('milliampere', 'milliamperes'),
    'kWh': ('kilowatt hour', 'kilowatt hours'),
    'mph': ('mile per hour', 'miles per hour'),
    'rpm': ('revolution per minute', 'revolutions per minute'),
    'bpm': ('beat per minute', 'beats per minute'),
    'fps': ('frame per second', 'frames per second'),
    'mi': ('mile', 'miles'),
    'ft': ('foot', 'feet'),
    'yd': ('yard', 'yards'),
    'lb': ('pound', 'pounds'),
    'lbs': ('pound', 'pounds'),
    'oz': ('ounce', 'ounces'),
    'h': ('hour', 'hours'),
    'hr': ('hour', 'hours'),
    'hrs': ('hour', 'hours'),
    'min': ('minute', 'minutes'),
    'mins': ('minute', 'minutes'),
    'sec': ('second', 'seconds'),
    'dB': ('decibel', 'decibels'),
    'kcal': ('kilocalorie', 'kilocalories'),
    '%': ('percent', 'percent'),
    '°C': ('degree Celsius', 'degrees Celsius'),
    '°F': ('degree Fahrenheit', 'degrees Fahrenheit'),
    '°': ('degree', 'degrees'),
}
POWERS = {'': '', '²': 'square ', '2': 'square ', '³': 'cubic ', '3': 'cubic '}
ABBREVIATIONS = {
    # before a name
    r'Dr\.?(?=\s+[A-Z])|Dr\.': 'Doctor',
    r'Mr\.?(?=\s+[A-Z])|Mr\.': 'Mister',
    r'Mrs\.?(?=\s+[A-Z])|Mrs\.': 'Missus',
    r'Ms\.': 'Ms',
    r'Prof\.': 'Professor',
    r'Rev\.': 'Reverend',
    r'Capt\.': 'Captain',
    r'Sgt\.': 'Sergeant',
    r'Lt\.': 'Lieutenant',
    r'Gen\.(?=\s+[A-Z])': 'General',
    r'Sen\.(?=\s+[A-Z])': 'Senator',
    r'Gov\.(?=\s+[A-Z])': 'Governor',
    r'Mt\.(?=\s+[A-Z])': 'Mount',
    # Latin
    r'e\.\s?g\.,?': 'for example,',
    r'i\.\s?e\.,?': 'that is,',
    r'vs?\.': 'versus',
    r'cf\.': 'compare',
    r'viz\.': 'namely',
    r'approx\.': 'approximately',
    r'incl\.': 'including',
    r'w/o(?!\w)': 'without',
    r'w/(?=\s)': 'with',
    r'a\.k\.a\.|aka(?!\w)': 'also known as',
    r'N/A|n/a': 'not applicable',
}
# These may also end a sentence, and then their dot is its full stop.
ABBREVIATIONS_AT_THE_END = {
    r'etc\.': 'and so on',
    r'et al\.': 'and others',
    r'Inc\.': 'Incorporated',
    r'Ltd\.': 'Limited',
    r'Corp\.': 'Corporation',
    r'Co\.': 'Company',
    r'Jr\.': 'Junior',
    r'Sr\.': 'Senior',
    r'Ave\.': 'Avenue',
    r'Rd\.': 'Road',
    r'Blvd\.': 'Boulevard',
    r'Dept\.|dept\.': 'department',
    r'Ph\.\s?D\.': 'P H D',
    r'[aA]\.\s?[mM]\.': 'a m',
    r'[pP]\.\s?[mM]\.': 'p m',
}
CITED = {
    'no': 'number',
    'nos': 'numbers',
    'p': 'page',
    'pp': 'pages',
    'vol': 'volume',
    'ch': 'chapter',
    'fig': 'figure',
}
SYMBOLS = {
    r'\s*(?:<->|[⇔↔])\s*': ' to and from ',
    r'\s*(?:->|=>|[→⇒])\s*': ' to ',
    r'\s*(?:<=|≤)\s*': ' less than or equal to ',
    r'\s*(?:>=|≥)\s*': ' greater than or equal to ',
    r'\s*(?:!=|≠)\s*': ' not equal to ',
    r'\s*={1,3}\s*': ' equals ',
    r'\s*<+\s*': ' less than ',
    r'\s*>+\s*': ' greater than ',
    r'\s*≈\s*': ' is about ',
    r'\s*±\s*': ' plus or minus ',
    r'\s*÷\s*': ' divided by ',
    r'\s*×\s*': ' times ',
    r'(?<=\w)\s*\*\s*(?=\w)': ' times ',
    r'(?<=\w)\s*\^\s*(?=\w)': ' to the power of ',
    r'~\s?(?=\w)': 'about ',
    r'\s*√\s*': ' the square root of ',
    r'\s*∞': ' infinity',
    r'\s?¢': ' cents',
    r'\bkm/h\b': 'kilometers per hour',
    r'\band/or\b': 'and or',
    r'(?<=[a-z])/(?=[a-z])': ' or ',
    r'(?<=\w)\s*/\s*(?=\w)': ' ',
    r'\b([CF])#': r'\1 sharp',
    r'#\s?(?=\w)': 'number ',
    r'\s*&\s*': ' and ',
    r'\s*%': ' percent',
    r'\s*\+': ' plus ',
    r'\s*@\s*': ' at ',
    r'\$(?=[A-Za-z])': '',
    r'\s*\$': ' dollars ',
    r'\s*€': ' euros ',
    r'\s*£': ' pounds ',
    r'\s*[¥￥]': ' yen ',
    r'\s*°': ' degrees ',
    r'\s*§\s*': ' section ',
    r'\s*#\s*': ' hash ',
    r'(?<=\w)\s*[|]\s*(?=\w)': ', ',
}
