// A button that opens a small menu below it: arrow keys walk through it, Esc and whatever is outside close it.

import {element} from './shared/dom.js';
import {icon, iconButton} from './shared/icons.js';

const EDGE = 8;  // pixels

// items: [{name, icon, label, run}]
export function menuButton(label, items) {
  return iconButton('actions', label, ({currentTarget}) => open(currentTarget, items),
    {class: 'icon actions', 'aria-haspopup': 'menu', 'aria-expanded': 'false'});
}

function open(button, items) {
  let isOpen = true;
  const close = () => {
    // Once: what goes away loses the focus, too.
    if (!isOpen) return;
    isOpen = false;
    button.setAttribute('aria-expanded', 'false');
    menu.remove();
    document.removeEventListener('pointerdown', outside, true);
    removeEventListener('resize', close);
  };
  const back = () => {
    close();
    button.focus();
  };
  const outside = (event) => menu.contains(event.target) || close();
  const menu = element('div', {class: 'menu', role: 'menu', popover: 'manual', onfocusout: ({relatedTarget}) => menu.contains(relatedTarget) || close()},
    items.map((item) => element('button', {type: 'button', role: 'menuitem', tabindex: -1, class: item.name, onclick: () => {
      back();
      item.run();
    }}, icon(item.icon), item.label)));
  menu.addEventListener('keydown', (event) => {
    const entries = [...menu.children], at = entries.indexOf(document.activeElement), last = entries.length - 1;
    const to = {ArrowDown: at === last ? 0 : at + 1, ArrowUp: at <= 0 ? last : at - 1, Home: 0, End: last}[event.key];
    if (to !== undefined) entries[to].focus();
    else if (event.key === 'Escape') back();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.body.append(menu);
  // Above whatever else there is, where the browser knows how.
  menu.showPopover?.();
  const box = button.getBoundingClientRect();
  menu.style.left = `${Math.max(EDGE, Math.min(box.left, innerWidth - menu.offsetWidth - EDGE))}px`;
  menu.style.top = `${box.bottom + menu.offsetHeight + EDGE < innerHeight ? box.bottom : Math.max(EDGE, box.top - menu.offsetHeight)}px`;
  button.setAttribute('aria-expanded', 'true');
  document.addEventListener('pointerdown', outside, true);
  addEventListener('resize', close);
  menu.firstChild.focus();
}
