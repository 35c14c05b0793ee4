"""These rules read Chinese aloud: numbers, dates, units, money, abbreviations, symbols (Figure 16, rules 2–4)."""

from __future__ import annotations

import re

import cn2an

from training.speech.normalise.rules import RewriteRule, either, numeral, symbol

_DIGITS = '零一二三四五六七八九'
_MONEY = {'$': '美元', '€': '欧元', '£': '英镑', '¥': '元', '￥': '元', '₩': '韩元', '₹': '卢比'}
_CODES = {'USD': '美元', 'EUR': '欧元', 'GBP': '英镑', 'CNY': '元', 'RMB': '元', 'JPY': '日元', 'HKD': '港元'}
_UNITS = {
    'km': '公里', 'm': '米', 'cm': '厘米', 'mm': '毫米', 'nm': '纳米', 'μm': '微米', 'µm': '微米',
    'kg': '公斤', 'g': '克', 'mg': '毫克', 'lb': '磅', 'oz': '盎司',
    'L': '升', 'l': '升', 'ml': '毫升', 'mL': '毫升',
    's': '秒', 'ms': '毫秒', 'min': '分钟', 'h': '小时',
    'Hz': '赫兹', 'kHz': '千赫兹', 'MHz': '兆赫兹', 'GHz': '吉赫兹',
    'W': '瓦', 'kW': '千瓦', 'MW': '兆瓦', 'kWh': '千瓦时', 'V': '伏', 'mA': '毫安', 'mAh': '毫安时',
    'Pa': '帕', 'hPa': '百帕', 'kPa': '千帕', 'dB': '分贝', 'kcal': '千卡',
    'KB': '千字节', 'kB': '千字节', 'MB': '兆字节', 'GB': '吉字节', 'TB': '太字节',
    'kbps': '千比特每秒', 'Mbps': '兆比特每秒', 'Gbps': '吉比特每秒', 'mph': '英里每小时', 'rpm': '转每分钟',
    '°C': '摄氏度', '°F': '华氏度', '°': '度',
}  # fmt: skip
_POWERS = {'': '', '²': '平方', '2': '平方', '³': '立方', '3': '立方'}
_COUNTED = (
    '个|位|只|条|张|本|次|天|年(?!级|代)|周|小时|分钟|秒|岁|块|件|台|辆|杯|瓶|家|间|层|种|倍|名|棵|双|对|点'
    '|公里|公斤|米|克|升'
)
_ABBREVIATIONS = {
    r'e\.\s?g\.,?\s*': '例如',
    r'i\.\s?e\.,?\s*': '也就是',
    r'\s*etc\.': '等等',
    r'\s*vs\.?(?![A-Za-z.])\s*': '对',
    r'\s*a\.k\.a\.\s*': '又叫',
    r'\s*approx\.\s*': '大约',
    r'P\.\s?S\.\s*': '附言',
    r'N/A': '不适用',
    r'Dr\.\s*([A-Za-z]+)': r'\1博士',
    r'Prof\.\s*([A-Za-z]+)': r'\1教授',
    r'Mr\.\s*([A-Za-z]+)': r'\1先生',
    r'(?:Ms|Mrs)\.\s*([A-Za-z]+)': r'\1女士',
}

_NUMBER = r'\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?'
_FREE = r'(?<![A-Za-z\d.])'  # a Chinese character may stand just before
_SIGN = r'(?P<sign>(?<![A-Za-z\d.)])[-−+])?'
_TO = r'\s?(?:[-–—~～]|——)\s?'
_AMOUNT = rf'(?P<first>{_NUMBER})(?:{_TO}(?P<second>{_NUMBER}))?'
_SCALE = r'(?P<scale>[百千万亿]{1,2})?'


def digits(text: str) -> str:
    """Read `text` digit by digit: '110' → '一一零'; anything else in `text` is passed over."""
    return ''.join(_DIGITS[int(character)] for character in text if character.isdigit())


def cardinal(text: str) -> str:
    """Read a number aloud: '1,234.50' → '一千二百三十四点五零'.

    A whole part that is longer than 16 digits or led by 0 is read digit by digit.
    """
    whole, _, fraction = text.replace(',', '').partition('.')
    if len(whole) > 16 or (len(whole) > 1 and whole[0] == '0'):
        said = digits(whole)
    else:
        said = cn2an.an2cn(whole, 'low')
        if said[0] == '二' and said[1:2] in ('千', '万', '亿'):
            said = '两' + said[1:]
    return f'{said}点{digits(fraction)}' if fraction else said


def _signed(match: re.Match[str]) -> str:
    return {'-': '负', '−': '负', '+': '正'}.get(match['sign'] or '', '')


def _span(match: re.Match[str]) -> str:
    said = cardinal(match['first'])
    return f'{said}到{cardinal(match["second"])}' if match['second'] else said


def _date(match: re.Match[str]) -> str:
    month, day = int(match['month']), int(match['day'])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f'{digits(match["year"])}年{cardinal(str(month))}月{cardinal(str(day))}日'


def _time(match: re.Match[str]) -> str:
    said = f'{_count(match["hour"])}点'
    minute, second = int(match['minute']), match['second']
    if minute or second:
        said += f'{"零" if minute < 10 and minute else ""}{cardinal(str(minute))}分'
    if second:
        said += f'{"零" if int(second) < 10 and int(second) else ""}{cardinal(str(int(second)))}秒'
    return said


def _count(number: str) -> str:
    return '两' if number in ('2', '02') else cardinal(str(int(number)))


def _percent(match: re.Match[str]) -> str:
    per = {'%': '百', '‰': '千'}[match['per']]
    said = f'{_signed(match)}{per}分之{cardinal(match["first"])}'
    return f'{said}到{per}分之{cardinal(match["second"])}' if match['second'] else said


def _money(match: re.Match[str]) -> str:
    money = match['money']
    return f'{_signed(match)}{_span(match)}{match["scale"] or ""}{_MONEY.get(money) or _CODES[money]}'


def _measure(match: re.Match[str]) -> str:
    unit = match['unit']
    said = f'{_span(match)}{match["scale"] or ""}{_POWERS[match["power"] or ""]}{_UNITS[unit]}'
    if unit in ('°C', '°F'):
        said = {'负': '零下'}.get(_signed(match), '') + said
    else:
        said = _signed(match) + said
    return said if match['per'] is None else f'{said}每{_POWERS[match["per_power"] or ""]}{_UNITS[match["per"]]}'


def _fraction(match: re.Match[str]) -> str:
    said = f'{cardinal(match["below"])}分之{cardinal(match["above"])}'
    return _signed(match) + (f'{cardinal(match["whole"])}又{said}' if match['whole'] else said)


def _phone(match: re.Match[str]) -> str:
    return ('加' if match[0].startswith('+') else '') + '，'.join(
        digits(group) for group in re.findall(r'\d+', match[0])
    )


def _version(match: re.Match[str]) -> str:
    return '点'.join(digits(part) for part in match[0].split('.'))


def _address(match: re.Match[str]) -> str:
    names = {'@': '艾特', '.': '点', '-': '杠', '_': '下划线', '+': '加'}
    return ''.join(names.get(character, character) for character in match[0])


def _number(match: re.Match[str]) -> str:
    return _signed(match) + cardinal(match['first'])


_SYMBOLS = {
    r'\s*(?:->|=>|[→⇒])\s*': '到',
    r'\s*(?:<=|≤)\s*': '小于等于',
    r'\s*(?:>=|≥)\s*': '大于等于',
    r'\s*(?:!=|≠)\s*': '不等于',
    r'\s*≈\s*': '约等于',
    r'\s*={1,3}\s*': '等于',
    r'\s*<+\s*': '小于',
    r'\s*>+\s*': '大于',
    r'\s*±\s*': '正负',
    r'\s*÷\s*': '除以',
    r'\s*×\s*': '乘以',
    r'(?<=\w)\s*\*\s*(?=\w)': '乘以',
    r'(?<=\w)\s*[~～]\s*(?=\w)': '到',
    r'[~～]\s?(?=\w)': '大约',
    r'[~～]+': '',
    r'(?<=\w)\s*/\s*(?=\w)': '或',
    r'\s*&\s*': '和',
    r'\s*[%]': '百分号',
    r'\s*\+': '加',
    r'\s*@\s*': '艾特',
    r'#\s?(?=\w)': '第',
    r'\s*#\s*': '井号',
    r'\s*\$': '美元',
    r'\s*€': '欧元',
    r'\s*£': '英镑',
    r'\s*[¥￥]': '元',
    r'\s*°': '度',
    r'\s*§\s*': '第',
    r'(?<=\w)\s*[|]\s*(?=\w)': '，',
}

RULES: list[RewriteRule] = [
    symbol(r'(?<![A-Za-z\d.])[A-Za-z\d_.+-]+@[A-Za-z\d-]+(?:\.[A-Za-z\d-]*[A-Za-z\d])+', _address),
    symbol(
        r'(?<![A-Za-z\d.])(?:[A-Za-z][A-Za-z\d-]*\.)+(?:com|org|net|edu|gov|io|ai|dev|co|cn)(?![A-Za-z\d])', _address
    ),
    # Telephone numbers: mobile, land line with its area code, service numbers in groups, international
    numeral(r'(?<![A-Za-z\d.])\+\d{1,3}(?:[ -]?\d{2,11}){1,4}(?![\d-])', _phone),
    numeral(r'(?<![A-Za-z\d.-])1[3-9]\d([ -]?)\d{4}\1\d{4}(?![\d-])', _phone),
    numeral(r'(?<![A-Za-z\d.-])0\d{2,3}[ -]\d{7,8}(?![\d-])', _phone),
    numeral(r'(?<![A-Za-z\d.-])[48]00-\d{3}-?\d{4}(?![\d-])', _phone),
    numeral(
        r'(?:(?<=拨打)|(?<=电话)|(?<=电话是)|(?<=电话：)|(?<=号码)|(?<=号码是)|(?<=号码：))\d{3,}(?![\d.])', _phone
    ),
    # Dates and times
    numeral(r'(?<![\d/.-])(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?:T(?=\d)|(?![\d/-]))', _date),
    numeral(r'(?<![\d.])(\d{4})\s?[-–—~]\s?(\d{4})\s?(?=年)', lambda m: f'{digits(m[1])}到{digits(m[2])}'),
    numeral(
        r'(?<![\d.,])(1[1-9]\d\d|20\d\d|\d0(?=年代))\s?(?=年)', lambda m: digits(m[1]) if m[1][2:] else cardinal(m[1])
    ),
    numeral(
        r'(?<![\d.:])(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?(?![\d:])', _time
    ),
    numeral(r'(?<![\d.])2(?=点(?!\d))', '两'),
    numeral(
        r'(?<![\d.,])(1\d{3}|20\d\d)\s?[-–—~]\s?(1\d{3}|20\d\d)(?![\d.,])', lambda m: f'{digits(m[1])}到{digits(m[2])}'
    ),
    numeral(r'(?<![A-Za-z\d.-])\d+(?:-\d+){2,}(?![A-Za-z\d-])', _phone),  # account and book numbers
    # Amounts
    numeral(r'(?<![A-Za-z\d.])(?=\.\d)', '0'),
    numeral(rf'{_SIGN}{_FREE}{_AMOUNT}\s?(?P<per>[%‰])', _percent),
    numeral(rf'{_SIGN}(?P<money>[$€£¥￥₩₹])\s?{_AMOUNT}\s?{_SCALE}', _money),
    numeral(
        rf'{_SIGN}{_FREE}{_AMOUNT}\s?{_SCALE}\s?(?P<money>[$€£¥￥₩₹]|(?:{either(_CODES)})(?![A-Za-z]))',
        _money,
    ),
    numeral(
        rf'{_SIGN}{_FREE}{_AMOUNT}\s?{_SCALE}\s?(?P<unit>{either(_UNITS)})(?P<power>[²³]|(?<=m)[23])?(?![A-Za-z\d°])'
        rf'(?:/(?P<per>{either(_UNITS)})(?P<per_power>[²³]|(?<=m)[23])?(?![A-Za-z\d]))?',
        _measure,
    ),
    numeral(rf'{_SIGN}(?<![\d./A-Za-z])(?:(?P<whole>\d+) )?(?P<above>\d+)/(?P<below>\d+)(?![\d/])', _fraction),
    numeral(r'(?<![A-Za-z\d.])\d+(?:\.\d+){2,}', _version),
    numeral(r'[Nn]o\.\s?(\d+)', lambda m: f'第{cardinal(m[1])}号'),
    symbol(r'(?<=\d)\s?[x×]\s?(?=\d)', '乘'),
    symbol(r'(?<=\d)\s+[-−–]\s+(?=\d)', '减'),
    symbol(r'(?<=\d)\s*\+\s*(?=\d)', '加'),
    numeral(r'(?<=\d)[:：](?=\d)', '比'),
    numeral(rf'(?<![A-Za-z\d.,])2(?=(?:{_COUNTED}))', '两'),
    numeral(rf'{_FREE}(?P<first>{_NUMBER}){_TO}(?P<second>{_NUMBER})', _span),
    numeral(r'(?<=[A-Za-z])-?(?=\d)', ' '),
    numeral(rf'{_SIGN}(?P<first>{_NUMBER})', _number),
    *(RewriteRule('abbrev_expand', re.compile(rf'(?<![A-Za-z.]){p}'), said) for p, said in _ABBREVIATIONS.items()),
    *(symbol(pattern, said) for pattern, said in _SYMBOLS.items()),
    RewriteRule(
        'punctuation_normalize', re.compile(r'(?<=[\u3400-\u9fff])[ \t]+(?=[\u3400-\u9fff，。！？；：、])'), ''
    ),
    RewriteRule('punctuation_normalize', re.compile(r'(?<=[，。！？；：、])[ \t]+'), ''),
    RewriteRule('punctuation_normalize', re.compile(r'(?<![—])[—–―](?![—])'), '，'),
]
