// The chats that this browser keeps. Nothing of them leaves the machine.

import {forget, read, write} from './shared/kept.js';

const INDEX = 'fathom.chats';
const nameOf = (id) => `fathom.chat.${id}`;

// [{id, title, changed}], the newest first.
export function listChats() {
  const list = read(INDEX);
  return Array.isArray(list) ? list.filter((entry) => typeof entry?.id === 'string') : [];
}

export function loadChat(id) {
  const chat = read(nameOf(id));
  return chat && chat.id === id && Array.isArray(chat.children) && typeof chat.messages === 'object' ? chat : null;
}

export function saveChat(chat) {
  const others = listChats().filter(({id}) => id !== chat.id);
  const list = [{id: chat.id, title: chat.title, changed: chat.changed}, ...others].sort((a, b) => b.changed - a.changed);
  return write(nameOf(chat.id), chat) && write(INDEX, list);
}

export function removeChat(id) {
  write(INDEX, listChats().filter((entry) => entry.id !== id));
  forget(nameOf(id));
}

// Calls changed(id) when another page of this browser has saved or deleted a chat.
export function onChatsChanged(changed) {
  addEventListener('storage', ({key}) => {
    if (key === INDEX || key === null) changed(null);
    else if (key.startsWith(nameOf(''))) changed(key.slice(nameOf('').length));
  });
}
