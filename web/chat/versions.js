// "2 / 3": which of the messages that stand at one place is shown, and the way to the others.

import {versions} from './conversation.js';
import {iconButton} from './shared/icons.js';
import {element} from './shared/dom.js';

// show(message): another one is wanted. Null where there is only one.
export function versionSwitch(chat, message, show) {
  const all = versions(chat, message), at = all.indexOf(message);
  if (all.length < 2) return null;
  return element('div', {class: 'versions', role: 'group', 'aria-label': 'Versions'},
    iconButton('previous', 'Previous version', () => show(all[at - 1]), {class: 'icon previous', disabled: at === 0}),
    element('span', {class: 'which'}, `${at + 1} / ${all.length}`),
    iconButton('next', 'Next version', () => show(all[at + 1]), {class: 'icon next', disabled: at === all.length - 1}));
}
