// A conversation is a tree. What is edited or asked again stands beside what was there before, and of what stands side by
// side one is chosen; the messages that are shown are the chosen ones from the root on.
//
// A chat and a message both have children, a list of ids, and chosen, one of them. The chat has all messages by id.

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36).padStart(2, '0')).join('');

export function newChat() {
  return {id: newId(), title: '', changed: Date.now(), system: '', messages: {}, children: [], chosen: null};
}

const parentOf = (chat, message) => message.parent === null ? chat : chat.messages[message.parent];

// parent: a message, or null for the first one. The new message is chosen.
export function addMessage(chat, parent, fields) {
  const message = {id: newId(), parent: parent?.id ?? null, children: [], chosen: null, ...fields};
  chat.messages[message.id] = message;
  (parent ?? chat).children.push(message.id);
  choose(chat, message);
  if (!chat.title && message.role === 'user') chat.title = message.content.trim().replace(/\s+/g, ' ').slice(0, 80);
  chat.changed = Date.now();
  return message;
}

export function choose(chat, message) {
  parentOf(chat, message).chosen = message.id;
}

// The messages that are shown.
export function chosenPath(chat) {
  const path = [];
  for (let node = chat; node.chosen !== null; path.push(node)) {
    node = chat.messages[node.chosen];
    if (!node || path.includes(node)) break;
  }
  return path;
}

// The messages that stand at the place of one, itself among them.
export const versions = (chat, message) => parentOf(chat, message).children.map((id) => chat.messages[id]);

// Those before a message, from the first on.
export function before(chat, message) {
  const list = [];
  for (let at = message; at.parent !== null;) {
    at = chat.messages[at.parent];
    list.unshift(at);
  }
  return list;
}

export const hasText = (message) => Boolean(message.content || message.reasoning);

// What was being written when the page went away: whoever opens it again finds it cut off.
export function markInterrupted(chat) {
  for (const message of Object.values(chat.messages)) {
    if (message.state === 'writing') message.state = 'interrupted';
  }
}
