// A model's markdown as elements of the page. Whatever a model writes is text: markup in it is shown and not obeyed, and
// what the markdown library makes of the rest goes through the sanitiser, which lets through what is listed here.

import {finishCode} from './code.js';
import {mathematics, setUnfinished, showMathematics} from './mathematics.js';

const {marked, DOMPurify} = globalThis;

// Debian 12's DOMPurify (2.4.1, deb12u1) reads a variable of this name that it nowhere declares, to decide about something
// that is there with FORCE_BODY only. With this depth it decides to leave things as they are, which is right without.
globalThis.shadowNode ??= {__depth: 1};

const ALLOWED = {
  ALLOWED_TAGS: ['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 'del',
                 'a', 'sub', 'sup', 'kbd', 'table', 'thead', 'tbody', 'tr', 'th', 'td', '#text'],
  ALLOWED_ATTR: ['href', 'title', 'class', 'align', 'start'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i, ADD_URI_SAFE_ATTR: ['align', 'start'],
  ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true,
};
// Tags that are more often meant than shown.
const PLAIN_TAG = /^<\/?(?:br|sub|sup|kbd)\s*\/?>$/i;
// Stands for a tab at the begin of a line of code, which the markdown library would make four spaces of.
const TAB = '\uE009';

const escape = (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);

marked.use({
  headerIds: false,
  mangle: false,
  extensions: mathematics(escape),
  renderer: {
    html: (text) => PLAIN_TAG.test(text.trim()) ? text : escape(text),
    // Nothing is fetched from elsewhere.
    image: (href, title, text) => `<a href="${escape(href ?? '')}">${escape(text || 'image')}</a>`,
    // The page has headings of its own above those of an answer.
    heading: (text, level) => `<h${Math.min(6, level + 2)}>${text}</h${Math.min(6, level + 2)}>\n`,
    checkbox: (checked) => checked ? '☑ ' : '☐ ',
    code: (text, info) => `<pre><code class="language-${escape((info ?? '').match(/^[\w+#.-]*/)[0].toLowerCase())}">` +
      `${escape(text.replaceAll(TAB, '\t'))}\n</code></pre>\n`,
  },
});

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

// Sanitised, with code and mathematics in place.
function elementsOf(blocks) {
  const shown = blocks.map((block) => block.type === 'html' ? {type: 'code', lang: 'html', text: block.text.trimEnd()} : block);
  const fragment = DOMPurify.sanitize(marked.Parser.parse(shown), ALLOWED);
  for (const table of fragment.querySelectorAll('table')) {
    const box = document.createElement('div');
    box.className = 'table';
    box.tabIndex = 0;
    table.replaceWith(box);
    box.append(table);
  }
  finishCode(fragment);
  showMathematics(fragment);
  return fragment;
}

function keepTabs(text) {
  let fence = '';
  return text.split('\n').map((line) => {
    const mark = line.match(/^\s*(`{3,}|~{3,})/)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark && mark.startsWith(fence) && line.trim() === mark) fence = '';
    else if (fence) return line.replace(/^\s*/, (space) => space.replaceAll('\t', TAB));
    return line;
  }).join('\n');
}

// The text of elements, formulas as they were written: drawn, they have theirs three times.
function spoken(elements) {
  const copy = elements.cloneNode(true);
  for (const formula of copy.querySelectorAll('.katex')) formula.replaceWith(formula.querySelector('annotation')?.textContent ?? '');
  for (const head of copy.querySelectorAll('.code-head')) head.remove();
  return copy.textContent.trim();
}

const linesOf = (text) => text.split('\n').length - 1;

// A text that grows. Blocks that are finished are made once and stay; only the last ones are made again when more has come.
export class GrowingMarkdown {
  // onBlock(text): a block is finished.
  constructor(root, onBlock = () => {}) {
    this.root = root;
    this.onBlock = onBlock;
    this.settled = 0;  // characters of the text
    this.links = {};   // those that are defined by a line of their own
    this.running = document.createElement('div');
    this.running.className = 'running';
    root.replaceChildren(this.running);
  }

  update(text, isWhole) {
    const rest = text.slice(this.settled);
    setUnfinished(!isWhole);
    const lexer = new marked.Lexer();
    Object.assign(lexer.tokens.links, this.links);
    const blocks = lexer.lex(keepTabs(rest));
    // The last two may turn out to be something else: a list goes on, a line becomes a heading.
    const solid = blocks.filter(({type}) => type !== 'space');
    const keep = isWhole ? blocks.length : solid.length > 2 ? blocks.indexOf(solid.at(-2)) : 0;
    const done = blocks.slice(0, keep), raw = done.map((block) => block.raw).join('');
    if (done.length > 0 && (isWhole || raw.endsWith('\n'))) {
      Object.assign(this.links, lexer.tokens.links);
      for (let lines = linesOf(raw); lines > 0; --lines) this.settled = text.indexOf('\n', this.settled) + 1;
      const made = elementsOf(done);
      this.onBlock(spoken(made));
      this.running.before(made);
      this.running.replaceChildren(elementsOf(blocks.slice(keep)));
    } else {
      this.running.replaceChildren(elementsOf(blocks));
    }
    setUnfinished(false);
    if (isWhole) this.running.remove();
  }
}
