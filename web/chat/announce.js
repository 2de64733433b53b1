// What a screen reader is told: an answer block by block, and what happens to it; not every token.

import {element} from './shared/dom.js';

const KEPT = 8;

export function say(text) {
  if (!text) return;
  const log = document.getElementById('spoken');
  log.append(element('p', {}, text));
  while (log.children.length > KEPT) log.firstChild.remove();
}

// A line that everybody sees for a while. act: {label, run}, something that one can still do about it.
export function notice(text, act = null, milliseconds = 8000) {
  const line = element('div', {class: 'notice'}, element('span', {}, text),
    act ? element('button', {type: 'button', onclick: () => {
      line.remove();
      act.run();
    }}, act.label) : null);
  document.getElementById('notices').replaceChildren(line);
  setTimeout(() => line.remove(), milliseconds);
}
