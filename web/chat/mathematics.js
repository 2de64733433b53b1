// TeX between $...$, $$...$$, \(...\) and \[...\]: found by extensions of the markdown library, which leave it as code for
// the sanitiser, and drawn by KaTeX into the elements that came out of it.

import {element} from './shared/dom.js';

const LONGEST = 10000;  // characters
const OPTIONS = {throwOnError: true, trust: false, strict: 'ignore', maxSize: 40, maxExpand: 500};

// While a text grows, a formula that has no end yet is one all the same, of which nobody sees more than that it comes.
let unfinished = false;
export function setUnfinished(value) {
  unfinished = value;
}

// A dollar is money unless it stands directly before something, and its partner directly behind, and no digit follows.
const INLINE = [/^\$\$([^$]+?)\$\$/, /^\$(?![\s$])((?:\\[\s\S]|[^$\\\n])*?[^\s\\$])\$(?!\d)/, /^\\\(([\s\S]+?)\\\)/, /^\\\[([\s\S]+?)\\\]/];
const BLOCK = [/^ {0,3}\$\$([\s\S]+?)\$\$[ \t]*(?:\n+|$)/, /^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n+|$)/];
// Begun and not ended. A line that is empty makes it unlikely that it ever will be.
const OPEN_BLOCK = /^ {0,3}(?:\$\$(?:(?!\$\$|\n[ \t]*\n)[\s\S])*|\\\[(?:(?!\\\]|\n[ \t]*\n)[\s\S])*)$/;
const STARTS_INLINE = /\$|\\[([]/, STARTS_BLOCK = /(?:^|\n) {0,3}(?:\$\$|\\\[)/;

function firstMatch(patterns, text) {
  for (const pattern of patterns) {
    const match = pattern.exec(text);
    if (match) return match;
  }
  return null;
}

export function mathematics(escape) {
  const renderer = ({tex, kind}) => `<code class="tex ${kind}">${escape(tex.trim())}</code>`;
  return [{
    name: 'displayedFormula', level: 'block',
    start: (text) => {
      const at = text.search(STARTS_BLOCK);
      return at < 0 ? undefined : at;
    },
    tokenizer: (text) => {
      const match = firstMatch(BLOCK, text);
      if (match) return {type: 'displayedFormula', raw: match[0], tex: match[1], kind: 'displayed'};
      const open = unfinished ? OPEN_BLOCK.exec(text) : null;
      return open ? {type: 'displayedFormula', raw: open[0], tex: '⋯', kind: 'open'} : undefined;
    },
    renderer: (token) => `<p>${renderer(token)}</p>`,
  }, {
    name: 'formula', level: 'inline',
    start: (text) => {
      const at = text.search(STARTS_INLINE);
      return at < 0 ? undefined : at;
    },
    tokenizer: (text) => {
      const match = firstMatch(INLINE, text);
      const kind = /^(?:\$\$|\\\[)/.test(text) ? 'displayed' : 'inline';
      return match ? {type: 'formula', raw: match[0], tex: match[1], kind} : undefined;
    },
    renderer,
  }];
}

let library = null;

// KaTeX is fetched when the first formula begins. Until it is there nobody sees the TeX.
export function showMathematics(root) {
  const places = [...root.querySelectorAll('code.tex:not(.open)')];
  if (globalThis.katex) {
    places.forEach(draw);
    return;
  }
  if (!root.querySelector('code.tex')) return;
  library ??= import('./libraries/katex.js');
  const pending = (is) => places.forEach((place) => place.classList.toggle('pending', is));
  pending(true);
  library.then(() => places.filter((place) => place.isConnected).forEach(draw), () => {}).finally(() => pending(false));
}

// What is no TeX stays as it was written.
function draw(place) {
  const tex = place.textContent;
  place.classList.remove('pending');
  const formula = element('span', {class: place.className});
  if (tex.length > LONGEST) return;
  try {
    globalThis.katex.render(tex, formula, {...OPTIONS, displayMode: place.classList.contains('displayed')});
  } catch {
    place.classList.add('faulty');
    return;
  }
  place.replaceWith(formula);
}
