// Small drawings for buttons, in the colour of the text.

import {element, svg} from './dom.js';

const PATHS = {
  chats: 'M4 6h16M4 12h16M4 18h10',
  wider: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  narrower: 'M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5',
  add: 'M12 5v14M5 12h14',
  settings: 'M4 7h9M19 7h1M4 17h1M11 17h9M13 7a3 3 0 1 0 6 0a3 3 0 1 0-6 0M5 17a3 3 0 1 0 6 0a3 3 0 1 0-6 0',
  sun: 'M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  done: 'M5 12.5l4.5 4.5L19 7.5',
  retry: 'M19 12a7 7 0 1 1-2.2-5.1M19 3v4.5h-4.5',
  edit: 'M4 20l1-4L16.5 4.5l3 3L8 19zM14 7l3 3',
  previous: 'M14.5 6l-6 6l6 6',
  next: 'M9.5 6l6 6l-6 6',
  send: 'M12 19V5M5.5 11.5L12 5l6.5 6.5',
  stop: 'M7 7h10v10H7z',
  remove: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  close: 'M6 6l12 12M18 6L6 18',
  more: 'M7 5l11 7l-11 7z',
  actions: 'M5 11a1 1 0 1 0 0 2a1 1 0 1 0 0-2M12 11a1 1 0 1 0 0 2a1 1 0 1 0 0-2M19 11a1 1 0 1 0 0 2a1 1 0 1 0 0-2',
  download: 'M12 4v11M7 10.5l5 5l5-5M5 20h14',
};

const FILLED = ['stop', 'more', 'actions'];

export function icon(name) {
  return svg('svg', {class: FILLED.includes(name) ? 'drawing filled' : 'drawing', viewBox: '0 0 24 24', 'aria-hidden': 'true'}, svg('path', {d: PATHS[name]}));
}

// A button that is a drawing, with its name for who does not see it.
export function iconButton(name, label, onclick, attributes = {}) {
  return element('button', {type: 'button', class: 'icon', 'aria-label': label, title: label, onclick, ...attributes}, icon(name));
}

// Another drawing and name for a button.
export function setIcon(button, name, label) {
  button.replaceChildren(icon(name));
  button.setAttribute('aria-label', label);
  button.title = label;
}
