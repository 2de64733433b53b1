"""Texts that tokenizers get wrong, and small ones to train on."""

import random

FIXED = [
    "", " ", "  ", "a", " a", "  a", "a ", "\n", "\r\n", "\n\n\n", " \n ", "\t\ta", "a\tb", "hello world", "Hello, World!",
    "don't I'll we've", "3", "34", "345", "3456", "3.14159", "1234567890", "x2y3", "²³¼", "٣٤٥٦", "Ⅷ", "１２３４",
    "你好世界", "你好，世界。", "ひらがなカタカナ漢字", "ー々〆", "한국어", "a中b文c", "中文123中文", "čeština", "ﬁ", "ß", "İ", "ǅ",
    "e\u0301", "\u0301", " \u0301a", "a\u0308\u0301b", "नमस्ते", "ไทย", "שלום", "مرحبا", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "a\u00a0b", "a\u2003b", "a\u3000b", "\u1680", "\u180e", "a\u180eb", "\u2028", "\u2029", "a\u0085b", "\u0085\n", "\ufeffx",
    "\u200b", "a\u200db", "\x00", "a\x00b", "\x1c\x1d", "\x0b\x0c", "\u202f1", "...", "!!!\n\n", " !", "?!\r\n", "#include <vector>\n",
    "int main() { return 0; }\n", "    x = y[i];\n\n\n  z", "a_b_c", "__init__", "_x", "(foo)", "/usr/bin", "\\n", "$x", "€5", "©", "x²",
    "`a`", "{a|b}", "~~~", "^^", "<a>", "https://a.b/c?d=e&f=g#h", "\ud7ff\ue000\uffff", "\U00010000\U0010ffff", "𝒜𝓑", "龥龦", "㐀", "𠀀",
    "\u303f\u3040\u309f\u30a0\u30ff\u3100", " " * 100, "\n" * 50, " \n" * 30, "a" * 300, "1" * 100, "ab" * 100, "." * 200, "中" * 100,
    "a\n b", "a \n b", "a  \n  b", "\n a", "  \n", "\t\n\t", "word\u00a0\n", "A.B", ".a", "..a", "!a1", "'s", "''s", "-x", "--x", "@x", " @x",
    "\u0300\u0300", "1\u0300", "\u20e3", "1\u20e3", "\u00ad", "a\u00adb", "\u061c", "\u2060", "\ufffd", "\u0378", "\u0e33", "\uff9e",
]

# Not in what goldens are trained on.
MORE = [
    "\u3000中\u3000", "¿Qué?", "½cup", "ſ", "'ſ", "'Tis, DON'T, we'LL, 'RE'VE'd", "''ll", "'\u017f'S's", "\u212a", "\u2126Ω", "Å\u212bA\u030a", "ÅÅ",
    "각\u1100\u1161\u11a8가\u11a8", "\u0041\u0327\u0301\u030a", "\u0915\u093c\u0958", "\u0344", "\u2adc", "ﬁﬂﬀ", "①⑴㍿", "\u1e9b\u0323", "\u0dd9\u0dcf",
    "\U000105d2\u0307", "\U00016d68\U00016d67", "\U00011935\U00011930", "\u1715\u0334", "a\u1df6\u0345", "\U0001e030\U0001e06d",  # after Unicode 9
    "\U00031350\U0002ebf0\U000323b0", "\U00010d50\U00010d70", "\U0001fae9\U0001fadf", "\U00016d70\U0001e5f1\U00011de3", "\u1c89\u1c8a\ua7cb",  # 15 to 17
    " a", "   ", "\r", "\r\r\n\n\r", " \r\n  \r", "x \r\n \t\n  y", "\u2028\u2029\n", "\u0085\u0085", "\x1c\x1d\x1e\x1f", "a\x0b\x0cb", " .", "  .", " ..\n\n..",
    "a" * 5000, " " * 5000, "\n" * 3000, "9" * 3000, "é" * 2000, "中文" * 1000, "\u0301" * 1000, "!" * 3000, " a" * 2000, "\t" * 2000 + "x", "\U0001f469\u200d" * 300,
    "Ⓐⓩ🄰🅰", "a\u200cb\u200dc", "²³¹", "_a_", "߃۴", "〇二三", "ㄅㄆㄇ", "ﾊﾝｶｸ", "゛゜゠・ヽヾ", "가나다라 \ud7ff", "Ａｂｃ！～",
]

SPACE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
# Characters that normalization composes, decomposes or reorders, or that younger versions of Unicode do.
COMPOSING = ("aAeoOuE\u00c5\u00e9\u1e69\u0300\u0301\u0302\u0307\u0308\u030a\u0323\u0327\u0328\u0338\u0345\u0334\u093c\u0915\u0958\u09c7\u09be\u1100\u1161"
             "\u11a8\uac00\uac01\u212b\u2126\ufb01\u00bd\u2460\uff21\u3231\u1715\u0c3c\u08ca\U00011935\U00011930\U000105d2\U0001d15e\U0001e030")


def scalar(rng):
    """Any code point of any plane, low ones more often."""
    while True:
        c = rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000), rng.randrange(0x20000), rng.randrange(0x110000)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def random_string(rng, tokens=()):
    """tokens: strings (added tokens) that some of the texts contain."""
    kind = rng.randrange(10 if tokens else 8)
    length = rng.randrange(1, 25)
    if kind == 0:
        return "".join(scalar(rng) for _ in range(length))
    if kind == 1:  # white space and letters
        return "".join(rng.choice(SPACE) if rng.random() < 0.7 else rng.choice("aZ1.中") for _ in range(length))
    if kind == 2:  # punctuation, letters, digits
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n aZ09é中ſ'sStTlLrReEvVmMdD") for _ in range(length))
    if kind == 3:  # digits of several scripts
        return "".join(rng.choice("0123456789٠٣९๙Ⅷ²½１ a") for _ in range(length))
    if kind == 4:  # CJK and its borders
        return "".join(chr(rng.choice([0x4DFF, 0x4E00, 0x9FA5, 0x9FA6, 0x3040, 0x309F, 0x30A0, 0x30FF, 0x3100, 0x3001, 0x20000, 0xAC00, 0xD7A3, 0x61]))
                       if rng.random() < 0.5 else chr(rng.randrange(0x3000, 0xA000)) for _ in range(length))
    if kind == 5:  # emoji and what joins them
        return "".join(rng.choice("👍🏽👩‍👧\u200d\ufe0f🇩🇪\u20e3❤ 1\U000e0067🫩") for _ in range(length))
    if kind == 6:
        return "".join(rng.choice(COMPOSING) for _ in range(length))
    words = ["the ", "int ", " x", "\n", "\n\n", "    ", "foo_", "Bar", "()", "{", "};", "123", "'s", " ", "é", "日本", "I'm ", "\r\n", "...", " -> ", "stand"]
    if kind == 7:
        return "".join(rng.choice(words) for _ in range(length))
    return "".join(rng.choice(tokens) if rng.random() < 0.4 else rng.choice(words + list(SPACE)) for _ in range(rng.randrange(1, 10)))


def sweep():
    """Every code point of the planes in use and every 97th of the others, beside a character of each kind."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (c < 0x33500 or 0xE0000 <= c < 0xE1000 or c % 97 == 0)]
    for i in range(0, len(points), 8):
        yield "".join(f"{c}a{c}1{c} {c}!{c}中{c}{c}\n{c} {c}\u0301" for c in map(chr, points[i:i + 8]))


def golden_documents():
    """Text made of few syllables, so that many pairs are equally frequent."""
    rng = random.Random(20)
    syllables = ["ka", "to", "mi", "re", "lo", "an", "ing", "st", "er", "é", "中", "ü"]
    words = ["".join(rng.choice(syllables) for _ in range(rng.randrange(1, 5))) for _ in range(160)]
    documents = []
    for _ in range(12):
        text = ""
        while len(text) < 900:
            text += rng.choice(words) + rng.choice([" ", " ", " ", ", ", ".\n", "\n\n", "(", ");\n    ", " 12", "1999 ", "aaaa", "  "])
        documents.append(text)
    documents.append("<think>" * 5 + "aaaaaaaabaaaabaab" * 3)
    return documents
