// Buttons that copy a text.

import {iconButton, setIcon} from './shared/icons.js';
import {element} from './shared/dom.js';

const SAID = 1600;  // milliseconds

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers give the clipboard to encrypted pages only; the old way works everywhere.
    const area = element('textarea', {class: 'unseen', 'aria-hidden': 'true'});
    area.value = text;
    document.body.append(area);
    const focused = document.activeElement;
    area.select();
    document.execCommand('copy');
    area.remove();
    focused?.focus();
  }
}

export function copyButton(text, label) {
  const button = iconButton('copy', label, async () => {
    await copy(text());
    setIcon(button, 'done', 'Copied');
    setTimeout(() => setIcon(button, 'copy', label), SAID);
  });
  return button;
}
