// The list of earlier chats.

import {notice} from './announce.js';
import {exportJson, exportMarkdown} from './export.js';
import {moment} from './format.js';
import {menuButton} from './menu.js';
import {icon, iconButton} from './shared/icons.js';
import {element} from './shared/dom.js';
import {listChats, loadChat, removeChat, saveChat} from './storage.js';

export class ChatList {
  // onNew(), onClose(), onGone(ids): chats were deleted; chatOf(id); onRenamed(chat).
  constructor(root, {onNew, onClose, onGone, chatOf, onRenamed}) {
    Object.assign(this, {root, onGone, chatOf, onRenamed, open: null});
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
    if (this.list.querySelector('form')) return;  // a title is being written
    const chats = listChats(), focused = this.list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    this.list.replaceChildren(...chats.map(({id, title, changed}) => element('li', {class: id === open ? 'open' : null},
      element('a', {href: `#${id}`, 'aria-current': id === open ? 'page' : null},
        element('span', {class: 'title'}, title || 'Untitled'), element('time', {datetime: new Date(changed).toISOString()}, moment(changed))),
      menuButton(`“${title || 'Untitled'}”: rename, export, delete`, [
        {name: 'rename', icon: 'edit', label: 'Rename', run: () => this.rename(id)},
        {name: 'markdown', icon: 'download', label: 'Export as Markdown', run: () => exportMarkdown(this.chatOf(id))},
        {name: 'json', icon: 'download', label: 'Export as JSON', run: () => exportJson(this.chatOf(id))},
        {name: 'remove', icon: 'remove', label: 'Delete', run: () => this.remove([id])},
      ]))));
    if (focused) this.list.querySelector(`[href="${focused}"]`)?.focus();
    this.clear.hidden = chats.length < 2;
  }

  rename(id) {
    const chat = this.chatOf(id), link = this.list.querySelector(`[href="#${id}"]`);
    if (!chat || !link) return;
    const input = element('input', {'aria-label': 'Title', maxlength: 80});
    input.value = chat.title;
    // Once: a form that goes away loses the focus, too.
    let ended = false;
    const end = (keep, focus) => {
      if (ended) return;
      ended = true;
      const title = input.value.trim();
      form.remove();
      if (keep && title && title !== chat.title) this.onRenamed(Object.assign(chat, {title}));
      this.show();
      if (focus) this.list.querySelector(`[href="#${id}"]`)?.focus();
    };
    const form = element('form', {onsubmit: (event) => {
      event.preventDefault();
      end(true, true);
    }}, input);
    input.addEventListener('blur', () => end(true, false));
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      end(false, true);
    });
    link.parentElement.replaceChildren(form);
    input.focus();
    input.select();
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
