#!/usr/bin/env python3
"""Makes src/text/unicode_tables.inc: which characters are letters, digits and so on to Hugging Face `tokenizers`.

  scripts/parity/unicode_tables.py [--check]

Each part of that library has a Unicode version of its own (its regex engine 16, its normalizers 9, ...), and none is that
of the libraries that Fathom uses (PCRE2 10.42: 14, utf8proc 2.8: 15). So the library itself is asked about every code
point. --check compares with the committed file instead of writing it. Takes some minutes.
"""

import argparse
import ctypes
import pathlib
import sys

import own_venv
from tokenizer import PACKAGES, ROOT

OUT = ROOT / "src" / "text" / "unicode_tables.inc"
CATEGORIES = ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
              "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cn", "Cs"]
SURROGATES = range(0xD800, 0xE000)
SCALARS = [c for c in range(0x110000) if c not in SURROGATES]
ASCII_PUNCTUATION = {ord(c) for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}


def ranges(members):
    out = []
    for c in sorted(members):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def matched_by_regex(pattern):
    """The code points that a pattern of one character matches in a Split step."""
    from tokenizers import Regex, pre_tokenizers
    split = pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True)
    return {ord(c) for piece, _ in split.pre_tokenize_str("".join(map(chr, SCALARS))) for c in piece}


def cut_out_by(pre_tokenizer):
    """The code points that become a piece of their own between two letters."""
    return {c for c in SCALARS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) == 3}


def unknown_to_normalizers():
    """The code points that utf8proc decomposes, composes or reorders and the library's normalizers take as they are."""
    from tokenizers import normalizers
    utf8proc, libc = ctypes.CDLL("libutf8proc.so.2"), ctypes.CDLL(None)
    utf8proc.utf8proc_map.restype = ctypes.c_ssize_t
    stable, compat, compose, decompose = 2, 4, 8, 16

    def normalized(text, options):
        data, result = text.encode(), ctypes.c_void_p()
        length = utf8proc.utf8proc_map(data, ctypes.c_ssize_t(len(data)), ctypes.byref(result), options)
        assert length >= 0
        text = ctypes.string_at(result, length).decode()
        libc.free(result)
        return text

    unknown = set()
    for theirs, options in [(normalizers.NFC(), stable | compose), (normalizers.NFD(), stable | decompose),
                            (normalizers.NFKC(), stable | compose | compat), (normalizers.NFKD(), stable | decompose | compat)]:
        for c in SCALARS:
            # Marks of classes 240 and 1 on either side show whether the character is reordered.
            if any(theirs.normalize_str(s) != normalized(s, options) for s in (chr(c), "a\u0345" + chr(c), "a" + chr(c) + "\u0334")):
                unknown.add(c)
    # What a new composite is made of must not be composed either.
    for c in list(unknown):
        parts = normalized(chr(c), stable | decompose)
        if len(parts) > 1 and normalized(parts, stable | compose) == chr(c):
            unknown.update(map(ord, parts[1:]))
    return unknown


def changed_since_14(category_of):
    """Code points whose category is not that of Unicode 14, which PCRE2 10.42 knows; Python 3.11 knows it too."""
    import unicodedata
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"Python 3.11 is needed, whose Unicode is 14.0; this one's is {unicodedata.unidata_version}")
    return {c for c in SCALARS if unicodedata.category(chr(c)) != category_of[c]}


def array(name, comment, members):
    rows, row = [], " "
    for first, last in ranges(members):
        item = f" {{0x{first:04X}, 0x{last:04X}}},"
        if len(row) + len(item) > 98:
            rows.append(row)
            row = " "
        row += item
    rows.append(row)
    return f"\n// {comment}\nconstexpr CodePointRange {name}[] = {{\n" + "\n".join(rows) + "\n};\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "tokenizer-venv")
    arguments = parser.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    from tokenizers import pre_tokenizers

    category_of = {c: "Cs" for c in SURROGATES}
    for category in CATEGORIES[:-1]:
        for c in matched_by_regex(f"\\p{{{category}}}"):
            assert c not in category_of
            category_of[c] = category
    assert len(category_of) == 0x110000
    of = lambda *prefixes: {c for c in SCALARS if category_of[c].startswith(prefixes)}

    # Facts that the code has in so many words.
    space = matched_by_regex(r"\s")
    assert space == {*range(9, 14), 0x85} | of("Z"), "\\s"
    assert matched_by_regex(r"\d") == of("Nd"), "\\d"
    # The added tokens' \w and the Whitespace step's.
    whitespace = pre_tokenizers.Whitespace()
    word = {c for c in SCALARS if len(whitespace.pre_tokenize_str("a" + chr(c) + "a")) == 1}
    circled = {*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)}
    assert word == of("L", "M", "Nd", "Nl", "Pc") | circled | {0x200C, 0x200D}, "the word class"
    assert matched_by_regex(r"\w") == word - {0x200C, 0x200D} | {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE}, "\\w"
    numeric = cut_out_by(pre_tokenizers.Digits(individual_digits=True))
    assert numeric >= of("N")
    punctuation = cut_out_by(pre_tokenizers.Punctuation("isolated"))
    modern = of("P") | ASCII_PUNCTUATION
    assert punctuation - modern == {0x166D, 0x111C9}, "punctuation that no longer is"

    runs = []
    for c in range(0x110000):
        if runs and runs[-1][0] == category_of[c]:
            runs[-1][1] += 1
        else:
            runs.append([category_of[c], 1])
    words, i = [], 0
    while i < len(runs):
        j = i
        while j + 1 < len(runs) and runs[j] == ["Lu", 1] and runs[j + 1] == ["Ll", 1]:
            j += 2
        if j - i >= 4:
            words.append(f"LC{(j - i) // 2}")
            i = j
        else:
            words.append(f"{runs[i][0]}{runs[i][1]}")
            i += 1
    lines, line = [], ""
    for w in words:
        if len(line) + len(w) + 1 > 92:
            lines.append(line)
            line = ""
        line += w + " "
    lines.append(line)

    text = "// Made by scripts/parity/unicode_tables.py by asking Hugging Face `tokenizers` about every code point; not to be edited.\n"
    text += "// clang-format off\n\n"
    text += "// General categories from U+0000 on: a category and for how many code points; LC<n> is n times one Lu and one Ll.\n"
    text += "constexpr std::string_view kCategoryRuns =\n" + "\n".join(f'    "{line}"' for line in lines) + ";\n"
    text += array("kChangedSinceUnicode14", "Whose general category is not that of Unicode 14, which PCRE2 10.42 knows.", changed_since_14(category_of))
    text += array("kHan", "\\p{Han}.", matched_by_regex(r"\p{Han}"))
    text += array("kNewNumeric", "Numbers to the Digits step, but not \\p{N}.", numeric - of("N"))
    text += array("kNotYetPunctuation", "\\p{P}, but not to the Punctuation step.", modern - punctuation)
    text += array("kNotNormalizedRanges", "Which the normalizers leave as they are, though newer versions of Unicode do not.", unknown_to_normalizers())
    text += "\n// clang-format on\n"
    if arguments.check:
        same = OUT.read_text() == text
        print(f"{'ok  ' if same else 'FAIL'}  {OUT.relative_to(ROOT)}")
        sys.exit(not same)
    OUT.write_text(text)
    print(f"{OUT.relative_to(ROOT)}: {len(text)} bytes")


if __name__ == "__main__":
    main()
