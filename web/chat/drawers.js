// The panels at the sides: beside the conversation where there is room, over it where there is not. At most one is over it;
// then the rest of the page waits.

import {setIcon} from './shared/icons.js';
import {read, write} from './shared/kept.js';

const NAME = 'fathom.drawers';
const wide = matchMedia('(min-width: 900px)');
const drawers = [];

export class Drawer {
  // name: of the drawer and in "show-NAME", its button.
  constructor(name, drawing, label, openAtFirst) {
    Object.assign(this, {name, node: document.getElementById(name), button: document.getElementById(`show-${name}`)});
    setIcon(this.button, drawing, label);
    this.button.addEventListener('click', () => this.toggle());
    drawers.push(this);
    this.set(wide.matches && (read(NAME)?.[name] ?? openAtFirst));
  }

  get open() {
    return !this.node.hidden;
  }

  toggle() {
    const open = !this.open;
    if (open && !wide.matches) drawers.forEach((other) => other.set(false));
    this.set(open);
    if (wide.matches) write(NAME, {...read(NAME), [this.name]: open});
    if (open) this.node.querySelector('button, textarea, input').focus();
    else this.button.focus();
  }

  show() {
    if (!this.open) this.toggle();
  }

  // Without a trace, where it covers the conversation.
  closeIfOver() {
    if (this.open && !wide.matches) this.set(false);
  }

  set(open) {
    this.node.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    const covered = !wide.matches && drawers.some((drawer) => drawer.open);
    document.getElementById('scrim').hidden = !covered;
    document.querySelector('.page').inert = covered;
  }
}

// Whether one was closed.
export function closeDrawerOver() {
  const drawer = wide.matches ? null : drawers.find(({open}) => open);
  drawer?.toggle();
  return Boolean(drawer);
}

export function startDrawers() {
  document.getElementById('scrim').addEventListener('click', closeDrawerOver);
  wide.addEventListener('change', () => drawers.forEach((drawer) => drawer.set(wide.matches && Boolean(read(NAME)?.[drawer.name] ?? drawer.name === 'chats'))));
}
