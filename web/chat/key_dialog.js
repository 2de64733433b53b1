// Asks for the key that the server wants.

import {setKey} from './api.js';
import {sentence} from './format.js';
import {element} from './shared/dom.js';

// A promise of whether there is one now. why: what the server said to the last one, if there was one.
export function askForKey(why) {
  const dialog = document.getElementById('key-dialog');
  const input = element('input', {type: 'password', id: 'key', required: true, autocomplete: 'off', spellcheck: 'false', pattern: '\\s*[!-~]+\\s*'});
  const remember = element('input', {type: 'checkbox', id: 'remember'});
  return new Promise((answer) => {
    const form = element('form', {onsubmit: (event) => {
      event.preventDefault();
      setKey(input.value.trim(), remember.checked);
      dialog.close('given');
    }},
    element('h2', {id: 'key-title'}, 'This server wants a key'),
    why ? element('p', {class: 'failure', role: 'alert'}, sentence(why)) : null,
    element('label', {for: 'key'}, 'Key'), input,
    element('label', {class: 'tick'}, remember, ' Remember it in this browser'),
    element('p', {class: 'hint'}, 'Otherwise it is forgotten when this tab is closed.'),
    element('div', {class: 'buttons'},
      element('button', {type: 'button', onclick: () => dialog.close('')}, 'Cancel'),
      element('button', {type: 'submit', class: 'main'}, 'Use this key')));
    dialog.replaceChildren(form);
    dialog.addEventListener('close', () => answer(dialog.returnValue === 'given'), {once: true});
    dialog.returnValue = '';
    dialog.showModal();
    input.focus();
  });
}
