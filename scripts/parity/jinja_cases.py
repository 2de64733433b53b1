"""Small templates of our own that together use every construct the interpreter has; chat_templates.py renders them with
Python's Jinja. Each line of CASES is a template; all see VARIABLES."""

VARIABLES = {
    "name": "Ada", "empty": "", "text": "  Hello, Wörld! \n", "lines": "one\ntwo\r\nthree\n\nfive", "words": "the quick-brown (fox) jumps",
    "unicode": "é中👍ß ǅ", "html": "<a href=\"x\">'&'</a>", "one": 1, "two": 2, "minus": -7, "big": 9007199254740993, "half": 0.5, "third": 3.14159,
    "huge": 1e22, "tiny": 1e-7, "yes": True, "no": False, "nothing": None, "numbers": [3, 1, 2, 10, -1], "mixed": [1, "1", 1.0, True, None],
    "letters": ["b", "A", "c", "a", "B"], "nested": {"a": {"b": [1, {"c": "deep"}]}, "items": "an item", "k": "v"}, "nil": [], "void": {},
    "people": [{"name": "Bo", "age": 31, "tags": ["x"]}, {"name": "al", "age": 7, "tags": []}, {"name": "Cy", "age": 31}],
    "pairs": [["x", 1], ["y", 2]], "keyed": {"b": 2, "A": 1, "c": 0}, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
    "quote": "it's \"x\"\\ \t\x00\x7f\u00ad\u200b\ufeff", "bos_token": "<s>", "tool": {"type": "function", "function": {"name": "f", "description": "é <x> & 'y'", "n": [1.0, 2, 1e30, -0.0, 1e-5]}},
}

CASES = r"""
plain text, {{ name }}!
{{ nope }}|{{ nothing }}|{{ yes }}|{{ no }}|{{ one }}|{{ half }}|{{ huge }}|{{ tiny }}|{{ big }}
{{ 1.0 }} {{ 100000000000000000000.0 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 123456789.123456789 }} {{ -0.0 }} {{ 1e300*1e300 }} {{ -1e300*1e300 }}
{{ [1, 'a', none, true, 1.5, [], {}, ()] }} {{ (1,) }} {{ (1, 2) }} {{ {'a': 1, 2: 'b', none: [none]} }}
{{ mixed }} {{ nested }} {{ people[0] }} {{ quote }} {{ [quote] }} {{ [unicode, text] }}
{{ ["it's", 'say "x"', "both ' and \""] }}
{{ 'a\tb\nc\\d\'e\"f\x41\u00e9\U0001F44D\101\q\0' }}
{{ "adjacent" ' ' "strings" }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ minus // 2 }} {{ minus % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2.0 ** 3 }} {{ 7 / 7 }} {{ 1 / 3 }}
{{ +one }} {{ -one }} {{ - -one }} {{ not yes }} {{ not not one }} {{ -half }} {{ true + true }} {{ true * 3 }} {{ -true }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ 'x' * -1 }}| {{ [1] + [2, 3] }} {{ (1,) + (2,) }} {{ 'a' + 'b' ~ 1 ~ none ~ nope }} {{ 1 ~ 2.5 ~ [1] }}
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ 'a' < 'b' }} {{ 'a' < 'B' }} {{ [1, 2] < [1, 3] }} {{ (1, 'a') >= (1, 'a') }} {{ none == none }} {{ nope == nope2 }} {{ 1 != 2 }} {{ [1] == (1,) }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1.0} }}
{{ 2 ** 53 == 2.0 ** 53 }} {{ big == 9007199254740992.0 }} {{ big > 9007199254740992.0 }} {{ 1 > 0.5 }} {{ 1 <= 1.5 }} {{ -1 < -0.5 }}
{{ 'ell' in 'Hello' }} {{ 'x' not in 'Hello' }} {{ 1 in [1, 2] }} {{ 'a' in nested }} {{ 'z' in nested }} {{ 1.0 in [1] }} {{ '' in '' }} {{ 3 in (1, 2) }} {{ none in mixed }} {{ 'x' in nope }}
{{ yes and 'x' }} {{ no and 'x' }} {{ empty or 'y' }} {{ one or 'y' }} {{ nope or nothing }} {{ no or no or 3 }} {{ not no and yes }}
{{ 'a' if yes else 'b' }} {{ 'a' if no else 'b' }} {{ 'a' if no }}| {{ 1 if no else 2 if no else 3 }}
{{ name[0] }} {{ name[-1] }} {{ name[10] }}| {{ unicode[1] }} {{ unicode[-1] }} {{ numbers[0] }} {{ numbers[-1] }} {{ numbers[99] }}| {{ pairs[1][0] }} {{ pairs.1.0 }} {{ numbers[true] }}
{{ name[1:] }} {{ name[:-1] }} {{ name[::-1] }} {{ unicode[1:3] }} {{ unicode[::2] }} {{ numbers[1:3] }} {{ numbers[::-1] }} {{ numbers[-2:] }} {{ numbers[10:] }} {{ numbers[:-10] }} {{ numbers[3:0:-2] }} {{ (1, 2, 3)[1:] }} {{ name[none:2] }} {{ numbers[::-2] }} {{ name[5:1] }}|
{{ numbers[-100:2] }} {{ numbers[:100] }} {{ numbers[100::-1] }} {{ numbers[-100::-1] }} {{ numbers[:-100:-1] }} {{ numbers[::100] }}
{{ nested.a.b[1].c }} {{ nested['a']['b'][0] }} {{ nested.k }} {{ nested.missing }}| {{ nested['missing'] }}| {{ nested['items'] }} {{ nested.get('k') }} {{ nested.get('zz') }} {{ nested.get('zz', 'default') }} {{ nested.items is callable }} {{ nested.missing is defined }} {{ nested['keys'] is defined }}
{{ void.a }}| {{ nothing.a }}| {{ nothing['a'] }}| {{ name.foo }}| {{ one.foo }}| {{ numbers.foo }}| {{ name['upper'] is callable }} {{ 'abc'['x'] }}|
{% if yes %}a{% endif %}{% if no %}b{% else %}c{% endif %}{% if no %}d{% elif one == 1 %}e{% else %}f{% endif %}{% if nope %}g{% endif %}{% if empty or nil or void or 0 or 0.0 or nothing %}h{% endif %}
{% for n in numbers %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ n }};{% endfor %}
{% for n in numbers %}{{ loop.previtem }}<{{ n }}>{{ loop.nextitem }} {% endfor %}{% for n in numbers %}{% if loop.previtem is defined %}{{ loop.previtem }}{% endif %}{% endfor %}
{% for n in nil %}x{% else %}empty{% endfor %} {% for n in numbers if n > 100 %}x{% else %}none left{% endfor %} {% for n in numbers if n > 1 %}{{ n }}({{ loop.index }}/{{ loop.length }}){% endfor %} {% for n in nope %}x{% else %}undefined{% endfor %}
{% for n in numbers %}{% if n == 2 %}{% continue %}{% endif %}{% if n == 10 %}{% break %}{% endif %}{{ n }},{% endfor %}
{% for k, v in nested.items() %}{{ k }}={{ v }};{% endfor %} {% for k in nested %}{{ k }};{% endfor %} {% for a, b in pairs %}{{ a }}{{ b }}{% endfor %} {% for (a, b) in pairs %}{{ b }}{% endfor %} {% for k, v in keyed | dictsort %}{{ k }}{{ v }}{% endfor %}
{% for c in unicode %}[{{ c }}]{% endfor %} {% for i in range(3) %}{{ i }}{% endfor %} {% for i in range(5, 1, -2) %}{{ i }}{% endfor %} {% for x in nested.values() %}{{ x }};{% endfor %} {% for x in nested.keys() %}{{ x }};{% endfor %}
{% for a in [1, 2] %}{% for b in [3, 4] %}{{ loop.index }}{{ loop.depth }}{{ a * b }} {% endfor %}{{ loop.index }}{% endfor %}
{% for a in [1, 2, 3, 4] %}{{ loop.cycle('odd', 'even') }} {{ loop.changed(a // 2) }};{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(n=0, s='') %}{% for i in numbers %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }} {{ ns.s }} {{ ns.zz }}| {{ ns.zz is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}{% set e = 5, 6 %}{{ e }}{% set x = y = 3 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}{% set e = 5, 6 %}{{ e }}
{% set block %}hello {{ name }}{% set inner = 1 %}{% endset %}{{ block }}|{{ inner }}|{% set up | upper | trim %} abc {% endset %}{{ up }}|{{ block is string }}
{% if yes %}{% set inside = 3 %}{% endif %}{{ inside }}{% for i in [1] %}{% if yes %}{% set gone = 3 %}{% endif %}{% endfor %}{{ gone }}|
{% macro m(a, b=2, c='x') %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='z') }}{{ m() }}{{ m(b=1, a=2) }}{{ m(*[7, 8]) }}{{ m(**{'a': 5}) }}
{% macro m(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ m('q') }} {% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, x=3) }} {% macro outer() %}{% macro inner(x) %}<{{ x }}>{% endmacro %}{{ inner(1) }}{% endmacro %}{{ outer() }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(10) }}
{% set g = 'global' %}{% macro m() %}{{ g }}{% set g = 'local' %}{{ g }}{% endmacro %}{{ m() }}{{ g }}{% set g = 'later' %}{{ m() }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ name }}{% endcall %} {% macro l(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) l([1, 2]) %}({{ x }}){% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}
{% filter upper %}abc {{ name }}{% endfilter %} {% filter replace('a', 'b') | upper %}banana{% endfilter %}
{% with a = 1, b = name %}{{ a }}{{ b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}|
{% generation %}marked {{ name }}{% set z = 1 %}{% endgeneration %}{{ z }}|
{% raw %}{{ not }} {% this %} {# nor this #}{% endraw %} {%- raw -%}   x   {%- endraw -%}   y
a {# comment {{ x }} #} b {#- strip -#} c
  {% if yes %}   x   {% endif %}   y
{{- name -}}   z   {{- name }}   {{ name -}}   end
a{%- if yes %} b {%- endif %} c{% if yes -%}   d   {%- endif -%}   e
a   {%+ if yes %}b{% endif +%}c
{{ text | trim }}|{{ 'xxaxx' | trim('x') }}|{{ text | length }}|{{ unicode | length }}|{{ numbers | count }}|{{ nested | length }}|{{ nope | length }}|{{ nil | length }}
{{ name | upper }} {{ name | lower }} {{ words | title }} {{ words | capitalize }} {{ 'ABC def' | capitalize }} {{ one | upper }} {{ nope | upper }}| {{ nothing | lower }} {{ "o'neil's x-ray [a] {b} <c>" | title }}
{{ 'éàü ÉÀÜ жЖ αΑ' | upper }} {{ 'éàü ÉÀÜ жЖ αΑ' | lower }} {{ 'éa ÉA' | capitalize }} {{ 'éa ÉA' | title }}
{{ numbers | join }} {{ numbers | join(', ') }} {{ letters | join('-') }} {{ people | join(', ', attribute='name') }} {{ 'abc' | join('.') }} {{ nope | join }}| {{ mixed | join('|') }} {{ nested | join(',') }}
{{ numbers | first }} {{ numbers | last }} {{ name | first }} {{ nil | first }}| {{ nil | last }}| {{ 'abc' | last }} {{ nested | first }}
{{ nope | default('d') }} {{ empty | default('d') }}| {{ empty | default('d', true) }} {{ nothing | default('d') }} {{ nothing | d('e', boolean=true) }} {{ nope | default }}| {{ name | default('d') }}
{{ name | replace('d', 'DD') }} {{ 'aaaa' | replace('a', 'b', 2) }} {{ 'abc' | replace('', '-') }} {{ 121 | replace(1, 'x') }} {{ 'aaa' | replace('aa', 'b') }} {{ 'abc' | replace('', '-', 2) }}
{{ numbers | sort }} {{ numbers | sort(reverse=true) }} {{ letters | sort }} {{ letters | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | join(',') }} {{ people | sort(attribute='name', reverse=true) | map(attribute='name') | list }} {{ people | sort(attribute='age,name') | map(attribute='name') | list }} {{ 'hello' | sort }} {{ nil | sort }}
{{ letters | unique | list }} {{ letters | unique(case_sensitive=true) | list }} {{ [1, 1.0, true, 2] | unique | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }}
{{ numbers | min }} {{ numbers | max }} {{ letters | min }} {{ letters | max }} {{ nil | min }}| {{ people | max(attribute='age') }} {{ numbers | sum }} {{ people | sum(attribute='age') }} {{ numbers | sum(start=100) }} {{ [0.1, 0.2] | sum }} {{ [[1], [2]] | sum(start=[]) }}
{{ numbers | reverse | list }} {{ 'abc' | reverse }} {{ unicode | reverse }} {{ numbers | reverse | join(',') }}
{{ people | map(attribute='name') | list }} {{ people | map(attribute='tags.0') | list }} {{ people | map(attribute='zip', default='-') | list }} {{ letters | map('upper') | join }} {{ ['1', '2'] | map('int') | sum }} {{ words.split() | map('length') | list }} {{ letters | map('replace', 'a', 'z') | list }} {{ pairs | map(attribute=0) | list }} {{ people | map(attribute='age') | map('string') | join }}
{{ numbers | select('odd') | list }} {{ numbers | reject('odd') | list }} {{ numbers | select('gt', 1) | list }} {{ mixed | select | list }} {{ mixed | reject('none') | list }} {{ mixed | select('string') | list }} {{ people | selectattr('age', 'equalto', 31) | map(attribute='name') | list }} {{ people | selectattr('tags') | map(attribute='name') | list }} {{ people | rejectattr('tags') | map(attribute='name') | list }} {{ people | selectattr('tags', 'defined') | list | length }} {{ people | rejectattr('age', 'lt', 10) | list | length }} {{ none | select('odd') | list }}
{{ nested | items | list }} {{ nope | items | list }} {{ keyed | dictsort }} {{ keyed | dictsort(true) }} {{ keyed | dictsort(false, 'value') }} {{ keyed | dictsort(by='value', reverse=true) }}
{{ numbers | list }} {{ 'abc' | list }} {{ nested | list }} {{ (1, 2) | list }} {{ range(3) | list }} {{ nope | list }}
{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(9) }} {{ 3.99 | int }} {{ -3.99 | int }} {{ true | int }} {{ nothing | int }} {{ '0x1A' | int(base=16) }} {{ '1a' | int(0, 16) }} {{ '  7 ' | int }} {{ '1_000' | int }} {{ '-5' | int }} {{ '+5' | int }} {{ '' | int }} {{ [] | int }} {{ '1e3' | int }} {{ '101' | int(base=2) }} {{ '0b11' | int(base=2) }} {{ '1__0' | int }} {{ '_1' | int }}
{{ '4.5' | float }} {{ 'x' | float }} {{ 'x' | float(1.5) }} {{ 3 | float }} {{ '1e3' | float }} {{ 'inf' | float }} {{ '-inf' | float }} {{ 'nan' | float }} {{ nothing | float }} {{ ' 2.5 ' | float }} {{ '.5' | float }} {{ '5.' | float }} {{ '1_0.5' | float }} {{ 'Infinity' | float }} {{ '0x10' | float }} {{ '1e400' | float }} {{ '+1.5' | float }}
{{ -5 | abs }} {{ 5 | abs }} {{ -2.5 | abs }} {{ true | abs }} {{ minus | abs }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ third | round(2) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(1, 'ceil') }} {{ 42 | round }} {{ 1234.5 | round(-2) }} {{ 42 | round(0, 'floor') }} {{ -2.5 | round }} {{ 0.5 | round | int }} {{ 1.005 | round(2) }} {{ 1250 | round(-2) }}
{{ one | string }} {{ one | string is string }} {{ half | string + 'x' }} {{ nope | string }}| {{ nothing | string }} {{ [1] | string }}
{{ html | e }} {{ html | escape }} {{ html | e | e }} {{ html | safe }} {{ ('<' | e) + '<' }} {{ '<' + ('<' | safe) }} {{ ('<' | safe) + '<' ~ '<' }} {{ '<a>' | safe | upper }} {{ ['<' | safe] }} {{ one | e }}
{{ 'a b' | wordcount }} {{ words | wordcount }} {{ '' | wordcount }} {{ 'é_1 中文' | wordcount }}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, false, true) }}|{{ lines | indent('>>') }}|{{ 'x' | indent(2, first=true) }}|{{ '' | indent }}|{{ 'a\n' | indent }}
{{ numbers | batch(2) | list }} {{ numbers | batch(2, 'x') | list }} {{ numbers | slice(2) | list }} {{ numbers | slice(3, 'x') | list }} {{ nil | batch(2) | list }} {{ nil | slice(2) | list }}
{{ '%s is %d, %.2f %5s|%-5s|%05d %x %% %r %+d' | format('a', 3, 2.555, 'r', 'l', 42, 255, 'q', 5) }} {{ '%s' % 'x' }} {{ '%s %s' % (1, 'b') }} {{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }} {{ '%s' % [1, 2] }} {{ '%d' % 3.9 }} {{ '%e %g' % (12345.678, 0.00001) }} {{ '%5.1f|%-8s|%08.3f' % (3.14159, 'ab', -3.14159) }} {{ '%o %X %#x %i' % (8, 255, 255, 7) }} {{ '%(x)s' | format(x='named') }}
{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format('x', 'y') }} {{ '{a}-{b}'.format(a=1, b=none) }} {{ '{{}} {}'.format(2) }} {{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{:+}|{!r}'.format('r', 'l', 'c', 42, 3.14159, 1234567, 255, 5, 'q') }} {{ '{0[a]} {0.k} {1[0]}'.format({'a': 1, 'k': 2} , [3]) if no else '' }} {{ '{:*^9}'.format('mid') }} {{ '{:5}|{:5}'.format('s', 1) }} {{ '{:.3}'.format('abcdef') }} {{ '{} {}'.format(true, [1, 'x']) }} {{ '{:%}'.format(0.25) }} {{ '{:,.2f}'.format(1234567.891) }} {{ '{:08.2f}'.format(-3.14159) }}
{{ tool | tojson }} {{ tool | tojson(indent=2) }} {{ nested | tojson(indent=4) }} {{ mixed | tojson }} {{ quote | tojson }} {{ unicode | tojson }} {{ unicode | tojson(ensure_ascii=true) }} {{ keyed | tojson(sort_keys=true) }} {{ nil | tojson(indent=2) }} {{ void | tojson(indent=2) }} {{ nested | tojson(separators=(',', ':')) }} {{ [huge, tiny, third, 1.0, 1e16, 123456789012] | tojson }} {{ nested | tojson(indent=0) }} {{ {1: 2, none: 3, true: 4, 1.5: 6} | tojson }} {{ (1, 2) | tojson }} {{ '"\\/\b\f\n\r\t' | tojson }} {{ [[], {}, [[]]] | tojson(indent=1) }} {{ nested | tojson(indent='--') }} {{ html | tojson }}
{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xyxaxy'.strip('xy') }}|{{ 'aab'.lstrip('a') }}|{{ 'baa'.rstrip('a') }}|{{ 'éaé'.strip('é') }}|{{ text.strip(none) }}
{{ 'a,b,,c'.split(',') }} {{ 'a,b,,c'.split(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'abc'.split('abc') }} {{ 'a</think>b</think>c'.split('</think>')[-1] }} {{ 'a b'.split(maxsplit=0) }} {{ ' a b '.split(maxsplit=0) }} {{ 'aXbX'.split('X', maxsplit=-1) }} {{ 'aaa'.rsplit('aa', 1) }} {{ 'aaa'.split('aa') }}
{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ ''.splitlines() }} {{ 'a\x0bb\x85c\u2028d'.splitlines() }} {{ 'a\n'.splitlines() }} {{ '\n'.splitlines() }}
{{ name.startswith('A') }} {{ name.startswith(('x', 'Ad')) }} {{ name.endswith('a') }} {{ name.endswith(('x', 'y')) }} {{ name.startswith('d', 1) }} {{ name.endswith('d', 0, 2) }} {{ ''.startswith('') }} {{ name.startswith('', 9) }} {{ name.startswith(()) }}
{{ name.upper() }} {{ name.lower() }} {{ words.title() }} {{ words.capitalize() }} {{ "they're bill's".title() }} {{ 'aBc'.swapcase() }} {{ 'ABC'.casefold() }}
{{ 'hello'.replace('l', 'L') }} {{ 'hello'.replace('l', 'L', 1) }} {{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('z') }} {{ unicode.find('👍') }} {{ 'hello'.find('l', 3) }} {{ 'hello'.find('', 9) }} {{ 'hello'.find('', 5) }} {{ 'hello'.count('l') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ 'hello'.index('e') }} {{ 'hello'.rindex('l') }} {{ 'hello'.find('h', -5) }} {{ 'hello'.rfind('l', 0, 3) }} {{ 'hello'.find('e', 2) }} {{ 'hello'.count('l', -2) }}
{{ ', '.join(['a', 'b']) }} {{ ''.join(letters) }} {{ '-'.join('abc') }} {{ ','.join(nested) }} {{ ','.join([]) }}| {{ ','.join(people | map(attribute='name')) }}
{{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' \n'.isspace() }} {{ 'A'.isupper() }} {{ 'a'.islower() }} {{ ''.isdigit() }} {{ 'aB'.islower() }} {{ 'é'.isascii() }} {{ 'a1'.islower() }} {{ '1'.isupper() }} {{ ''.isascii() }} {{ 'é中'.isalpha() }} {{ 'x\n'.isprintable() }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }} {{ 'abc'.rpartition('-') }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'abc'.removeprefix('x') }} {{ 'a'.center(5) }}| {{ 'a'.ljust(3, '*') }} {{ 'a'.rjust(3) }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'ab'.center(5, '.') }} {{ 'a'.center(4, '.') }} {{ 'abc'.zfill(2) }}
{{ numbers.index(2) }} {{ numbers.count(1) }} {{ (1, 2, 1).count(1) }} {{ nested.keys() | list }} {{ nested.values() | list }} {{ nested.items() | list }} {{ nested.copy() == nested }} {{ nested.items() }} {{ keyed.keys() }} {{ keyed.values() }} {{ range(3) }} {{ range(1, 9, 2) | list }} {{ range(0) | list }} {{ range(3)[1] }} {{ range(5)[1:3] | list }} {{ keyed.items() | length }} {{ numbers.index(1, 1) }}
{{ name is defined }} {{ nope is defined }} {{ nope is undefined }} {{ nothing is none }} {{ one is none }} {{ name is string }} {{ one is string }} {{ one is number }} {{ half is number }} {{ yes is number }} {{ one is integer }} {{ yes is integer }} {{ half is float }} {{ yes is boolean }} {{ one is boolean }} {{ yes is true }} {{ one is true }} {{ no is false }} {{ nested is mapping }} {{ numbers is mapping }} {{ numbers is sequence }} {{ name is sequence }} {{ nested is sequence }} {{ one is sequence }} {{ numbers is iterable }} {{ name is iterable }} {{ one is iterable }} {{ nope is iterable }} {{ nope is sequence }} {{ nothing is iterable }}
{{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is in 'abc' }} {{ 1 is in [1, 2] }} {{ 'a' is lower }} {{ 'A' is upper }} {{ 1 is eq 1 }} {{ 1 is equalto 2 }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is gt 1 }} {{ 1 is le 1 }} {{ 1 is ge 2 }} {{ 1 is lessthan 2 }} {{ 2 is greaterthan 1 }} {{ range is callable }} {{ name is callable }} {{ name is not defined }} {{ nope is not defined and yes }} {{ 'upper' is filter }} {{ 'nofilter' is filter }} {{ 'odd' is test }} {{ none is sameas none }} {{ true is sameas true }} {{ ('<' | e) is escaped }} {{ '<' is escaped }} {{ keyed.items() is sequence }} {{ (numbers | map('string')) is sequence }} {{ (numbers | map('string')) is iterable }}
{{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2) }} {{ dict([('k', 'v')]) }} {{ namespace(a=1).a }} {{ dict() }} {{ namespace({'x': 3}).x }}
{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%A, %B %d, %H:%M') }} {{ strftime_now('') }}|
{{ not_called() if no else 'fine' }} {{ (nope if no else 'x') }} {{ loop is defined }}
{{ messages[0]['role'] }}{{ messages[-1].content }}{{ messages | length }}{{ messages[1:] | length }}{{ (messages | last).role }}{{ messages | map(attribute='role') | join(' ') }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{%- set out = [] -%}{%- for m in messages -%}{%- set out = out + [m.role] -%}{%- endfor -%}{{ out }}
{% set x %}{% for i in range(3) %}{{ i }}{% endfor %}{% endset %}{{ x | int + 1 }}
{{ 'a' 'b' }} {{ ('a', 'b')[1] }} {{ ['a',] }} {{ {'a': 1,}.a }} {{ (('a')) }} {{ () }} {{ [1, [2, [3]]][1][1][0] }}
{{ 1_000 + 1 }} {{ 0 }} {{ 00 }} {{ 1.5e3 }} {{ 1e3 }} {{ 12.5E-1 }}
{{ name|upper|lower|title }} {{ (name ~ 'x')|upper }} {{ name ~ 'x'|upper }} {{ -1|abs }} {{ 2 + 3|string|length }} {{ not name|length == 3 }} {{ 'a' in 'abc' and 'b' in 'abc' }} {{ 1 + 1 is odd }} {{ (1 + 1) is even }}
{{ true and false or true }} {{ True }} {{ False }} {{ None }} {{ true is true }} {{ none is none }} {{ 1 if true else 2 }}{% if not (1 == 2) and not 2 == 3 %}y{% endif %}
{% for x in [1, 2, 3] -%} {{ x }} {%- if not loop.last %}, {% endif -%} {% endfor %}
{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] | trim + '<|end|>' }}{% endfor %}{{ '<|assistant|>' }}
{% for m in messages -%}{%- if loop.index0 % 2 == 0 -%}A{%- else -%}B{%- endif -%}{%- endfor %}
{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% else %}{% set s = 'none' %}{% endif %}{{ s }}
{% if name is defined and name is string and name | length > 2 or false %}ok{% endif %}{% if 'x' is not in 'abc' %}no{% endif %}{% if name is not none %}some{% endif %}
{% print name %}{% print 1, 2 %}
{% set a = {'x': [1, 2]} %}{{ a['x'][0] + a.x[1] }}{% set a = a.x %}{{ a }}
{{ (1, 2) == (1, 2) }} {{ [] == [] }} {{ {} == {} }} {{ 'a' == "a" }} {{ none == false }} {{ 0 == false }} {{ '' == false }}
{{ "line\
continued" }}
{{ nested.a.b | length }} {{ nested['a'].b.1.c }} {{ nested.a['b'][-1]['c'][0] }}
{{ people | map(attribute='name') | map('lower') | sort | join(',') }} {{ people | selectattr('age', '>', 10) | map(attribute='age') | sum }}
{{ numbers | sort | first }}{{ numbers | select('ge', 2) | map('string') | join('+') }}={{ numbers | select('ge', 2) | sum }}
{{ name if name else 'anon' }}{{ (name or 'x').upper() }}{{ name.upper().lower()[0] }}{{ 'abc'.upper()[1:] }}{{ ('x' ~ 1).upper() }}
{% macro a(x) -%} {{ x }} {%- endmacro %}{% set y = a('q') %}{{ y }}{{ y | length }}{{ a(a('z')) }}
{{ 3 is odd and 4 is even }} {{ 3 is not even }} {{ not 3 is even }} {{ nope is defined or name is defined }}
{% set ns = namespace(f=false) %}{% for m in messages %}{% if m.role == 'assistant' and not ns.f %}{% set ns.f = true %}{{ loop.index }}{% endif %}{% endfor %}{{ ns.f }} {{ ns }}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = [ns.a] %}{{ ns.b }}{% macro m() %}{% set ns.a = ns.a + 1 %}{% endmacro %}{{ m() }}{{ m() }}{{ ns.a }}
{% for a in [3, 4] %}{% macro show() %}{{ a }}{% endmacro %}{{ show() }}{% endfor %}
""".strip("\n").replace("\\\ncontinued", "\\\x01continued").split("\n")
CASES = [case.replace("\x01", "\n") for case in CASES]

# Over several lines: what tags do to the white space around them.
CASES += [
    "  {% if yes %}\n    a\n  {% endif %}\n  b\n",
    "{% for n in numbers %}\n  {{ n }}\n{% endfor %}\nend\n\n",
    "a\n  {#- c -#}  \n b\n  {# d #}\n e",
    "\n\n{{ name }}\n\n",
    "x\n{%- if yes -%}\n  y\n{%- endif -%}\nz",
    "x\n  {%+ if yes %}\n  y\n  {%+ endif %}\nz",
    "x\n\t {% set a = 1 %}  \n{{ a }}",
    "  {{ name }}\n  {{- name }}\n  {{ name -}}\n  x",
    "{% raw %}\n  {{ x }}\n{% endraw %}\ny",
    "a\r\nb\rc{{ '\r\n' }}d\r\n",
    "{% if yes %}\r\na\r\n{% endif %}\r\n",
    "{# one\n two #}\nthree {# a #}{# b #}\nx",
    "   {#- x #}   y   {# z -#}   w",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'x': '}}'}['x'] }}{{ '%}' }}",
    "{% set x = '%}' %}{{ x }}{% set y = {'k': {'l': 2}} %}{{ y.k.l }}",
    "{{ name }}{% if yes %}\n{% endif %}\n\n{{ name }}\n",
    "a {% raw -%}  {{ x }}  {%- endraw %} b",
    "\u00a0{%- if yes %}x{% endif -%}\u3000y\u2003{{- name -}}\u2028z",
    "{% if yes -%}\n\n  a\n\n{%- endif %}\n b",
    "{{ '' }}\n{{ name }}",
    "{% set x\n=\n1\n%}{{\nx\n}}",
    "{",
    "a { b } c %} }} #} {",
    "}}",
]

# What Python's Jinja refuses, when it reads the template or when it renders it.
CASES += r"""
{{ nope.x }}
{{ nope() }}
{{ nope + 1 }}
{{ 1 + nope }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 'a' + none }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 1 in 2 }}
{{ 1 in 'a' }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1.0 // 0 }}
{{ raise_exception('stop') }}
{{ one() }}
{{ name.nope() }}
{{ numbers.append(1) }}
{{ nested.update({}) }}
{{ nested.pop('a') }}
{{ ''.__class__.__mro__ }}
{{ numbers.__class__ }}x{{ numbers.__class__() }}
{{ (1).__class__.__base__ }}
{{ namespace.__init__.__globals__ }}
{{ nope | tojson }}
{{ [nope] | tojson }}
{{ numbers | map('string') | tojson }}
{{ numbers | map('string') | length }}
{{ one | length }}
{{ none | length }}
{{ name | nofilter }}
{{ name is notest }}
{{ numbers | first('x') }}
{{ {[]: 1} }}
{{ {}[[]] }}{{ {{}: 1} }}
{% for x in 1 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for a, b in numbers %}{% endfor %}
{% set a, b = 1, 2, 3 %}
{% set a.b = 1 %}
{% set nested.k = 1 %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}
{% if %}x{% endif %}
{% if yes %}x
{% endif %}
{% for x in y %}
{{ name
{{ name }
{% if yes }x{% endif %}
{{ 'abc }}
{{ (1 }}
{{ [1, 2 }}
{{ 1) }}
{# open
{% raw %}x
{{ }}
{{ 1 2 }}
{{ a b }}
{{ name | }}
{{ name is }}
{% set %}
{% set 1 = 2 %}
{% set true = 2 %}
{% unknown %}
{% break %}
{% macro m(a=1, b) %}{% endmacro %}
{{ m(a=1, 2) }}
{{ range(1000000) | list }}
{{ range(1, 2, 0) | list }}
{{ numbers[::0] }}
{{ 'abc'.split('') }}
{{ 'a'.index('z') }}
{{ numbers.index(99) }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%s' % (1, 2) }}
{{ '{}'.format() }}
{{ '{x}'.format(y=1) }}
{{ mixed | sort }}
{{ mixed | max }}
{{ 'a' | sum }}
{{ numbers | join(attribute='x', foo=1) }}
{{ nothing | items | list }}
{{ name | items | list }}
{{ 'x' | abs }}
{{ 'x' | round }}
{{ ','.join([1]) }}
{{ name.startswith(1) }}
{{ name.strip(1) }}
{{ -name }}
{{ nested is odd }}
{{ name is divisibleby 2 }}
{{ 1 is in 2 }}
{{ a is b is c }}
{{ $ }}
{{ 'a' 'b' + }}
{{ nope is lt 1 }}
{{ nope[0] }}
{{ nope[1:] }}
""".strip("\n").split("\n")
