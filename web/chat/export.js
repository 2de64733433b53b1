// A chat as a file: what is shown of it, to read or to work on with other programs.

import {chosenPath} from './conversation.js';
import {element} from './shared/dom.js';

function download(chat, ending, type, text) {
  const name = chat.title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60) || 'chat';
  const address = URL.createObjectURL(new Blob([text], {type}));
  const link = element('a', {href: address, download: `${name}.${ending}`, hidden: true});
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

const quoted = (text) => text.trim().split('\n').map((line) => `> ${line}`.trimEnd()).join('\n');

export function exportMarkdown(chat) {
  const parts = [`# ${chat.title || 'Untitled'}`];
  if (chat.system.trim()) parts.push('## System', chat.system.trim());
  for (const {role, content, reasoning} of chosenPath(chat)) {
    parts.push(role === 'user' ? '## You' : '## Answer');
    // A quotation keeps thoughts apart, whatever stands in them.
    if (reasoning) parts.push(`> **Thoughts**\n>\n${quoted(reasoning)}`);
    if (content) parts.push(content.trim());
  }
  download(chat, 'md', 'text/markdown', `${parts.join('\n\n')}\n`);
}

// The messages as the API has them, in one line, which is one of what models are tuned on.
export function exportJson(chat) {
  const messages = chosenPath(chat).map(({role, content, reasoning}) =>
    ({role, content: content ?? '', ...reasoning ? {reasoning_content: reasoning} : {}}));
  if (chat.system.trim()) messages.unshift({role: 'system', content: chat.system});
  download(chat, 'json', 'application/json', `${JSON.stringify({title: chat.title, messages})}\n`);
}
