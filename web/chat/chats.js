// The list of earlier chats.

import {notice} from './announce.js';
import {moment} from './format.js';
import {icon, iconButton} from './shared/icons.js';
import {element} from './shared/dom.js';
import {listChats, loadChat, removeChat, saveChat} from './storage.js';

export class ChatList {
  // onNew(), onClose(), onGone(ids): chats were deleted.
  constructor(root, {onNew, onClose, onGone}) {
    Object.assign(this, {root, onGone, open: null});
    this.list = element('ul', {});
    this.empty = element('p', {class: 'hint'}, 'Chats are kept in this browser, and nowhere else.');
    this.clear = element('button', {type: 'button', class: 'quiet', onclick: () => this.remove(listChats().map(({id}) => id))}, 'Delete all chats');
    root.replaceChildren(
      element('div', {class: 'drawer-head'},
        element('button', {type: 'button', id: 'new-chat', onclick: onNew}, icon('add'), 'New chat'), iconButton('close', 'Close the list of chats', onClose)),
      element('div', {class: 'drawer-body'}, this.list, this.empty, this.clear));
  }

  show(open = this.open) {
    this.open = open;
    const chats = listChats(), focused = this.list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    this.list.replaceChildren(...chats.map(({id, title, changed}) => element('li', {class: id === open ? 'open' : null},
      element('a', {href: `#${id}`, 'aria-current': id === open ? 'page' : null},
        element('span', {class: 'title'}, title || 'Untitled'), element('time', {datetime: new Date(changed).toISOString()}, moment(changed))),
      iconButton('remove', `Delete “${title || 'Untitled'}”`, () => this.remove([id]), {class: 'icon remove'}))));
    if (focused) this.list.querySelector(`[href="${focused}"]`)?.focus();
    this.clear.hidden = chats.length < 2;
  }

  remove(ids) {
    const chats = ids.map(loadChat).filter(Boolean);
    ids.forEach(removeChat);
    this.onGone(ids);
    this.show();
    this.root.querySelector('#new-chat').focus();
    notice(ids.length === 1 ? 'The chat is deleted.' : `${ids.length} chats are deleted.`,
      {label: 'Undo', run: () => {
        chats.forEach(saveChat);
        this.show();
      }});
  }
}
