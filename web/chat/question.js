// A message of the user's as it is shown, and as it is edited.

import {copyButton} from './copy.js';
import {growWithText, isSend} from './composer.js';
import {iconButton} from './shared/icons.js';
import {element} from './shared/dom.js';
import {versionSwitch} from './versions.js';

// actions: {edit(message, text), show(message)}
export class QuestionView {
  constructor(chat, message, actions) {
    Object.assign(this, {chat, message, actions});
    this.text = element('div', {class: 'bubble'}, message.content);
    this.node = element('article', {class: 'message question', 'data-message': message.id}, element('h2', {class: 'unseen'}, 'You'));
    this.showText();
  }

  showText() {
    const {chat, message, actions} = this;
    this.node.replaceChildren(this.node.firstChild, this.text, element('div', {class: 'tools'},
      versionSwitch(chat, message, actions.show),
      iconButton('edit', 'Edit', () => this.showEditor(), {class: 'icon edit'}), copyButton(() => message.content, 'Copy message')));
  }

  showEditor() {
    const area = element('textarea', {'aria-label': 'Edit message', rows: 1});
    area.value = this.message.content;
    const cancel = () => {
      this.showText();
      this.node.querySelector('.edit').focus();
    };
    const send = () => {
      if (area.value.trim()) this.actions.edit(this.message, area.value);
    };
    area.addEventListener('keydown', (event) => {
      if (isSend(event)) send();
      else if (event.key === 'Escape') cancel();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.node.replaceChildren(this.node.firstChild, element('form', {class: 'editor', onsubmit: (event) => {
      event.preventDefault();
      send();
    }}, area, element('div', {class: 'buttons'},
      element('button', {type: 'button', onclick: cancel}, 'Cancel'), element('button', {type: 'submit', class: 'main'}, 'Send'))));
    growWithText(area);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }

  drop() {}
}
