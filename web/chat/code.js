// Blocks of code: a line above with the language and a button that copies, colours within.

import {copyButton} from './copy.js';
import {element} from './shared/dom.js';

const MOST_COLOURED = 40000;  // characters
let library = null;

export function finishCode(root) {
  for (const code of root.querySelectorAll('pre > code')) {
    const pre = code.parentElement;
    const language = code.className.replace('language-', '');
    code.className = '';
    const block = element('div', {class: 'code'});
    pre.replaceWith(block);
    pre.tabIndex = 0;
    pre.setAttribute('role', 'region');
    pre.setAttribute('aria-label', language ? `Code, ${language}` : 'Code');
    block.append(element('div', {class: 'code-head'}, element('span', {}, language || 'code'),
      copyButton(() => code.textContent.replace(/\n$/, ''), 'Copy code')), pre);
    if (language && code.textContent.length <= MOST_COLOURED) colour(code, language);
  }
}

// The distribution's highlight.js is version 9, which its authors no longer look after (the distribution does) and which says
// so to the console of whoever reads the page, unless it is told not to. What it makes goes through the sanitiser.
const quiet = () => globalThis.hljs.configure({hideUpgradeWarningAcceptNoSupportOrSecurityUpdates: true});

// highlight.js is fetched when the first code comes.
function colour(code, language) {
  if (!globalThis.hljs) {
    library ??= import('./libraries/highlight.js').then(quiet);
    library.then(() => code.isConnected && colour(code, language), () => {});
    return;
  }
  if (!globalThis.hljs.getLanguage(language)) return;
  const {value} = globalThis.hljs.highlight(language, code.textContent, true);
  code.replaceChildren(globalThis.DOMPurify.sanitize(value,
    {ALLOWED_TAGS: ['span', '#text'], ALLOWED_ATTR: ['class'], RETURN_DOM_FRAGMENT: true}));
  code.className = 'hljs';
}
