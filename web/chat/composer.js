// The message box, with its button: send, or stop while an answer is written.

import {setIcon} from './shared/icons.js';

export const isSend = (event) => event.key === 'Enter' && !event.shiftKey && !event.isComposing;

// A box as high as its text; where that ends says the style sheet.
export function growWithText(area) {
  const fit = () => {
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
  };
  area.addEventListener('input', fit);
  fit();
  return fit;
}

export class Composer {
  // mayAsk(): whether anything can be sent; send(text), stop()
  constructor({mayAsk, send, stop}) {
    this.area = document.getElementById('prompt');
    this.button = document.getElementById('send');
    this.answering = null;
    this.fit = growWithText(this.area);
    const trySend = () => {
      const text = this.area.value;
      if (this.answering || !text.trim() || !mayAsk()) return;
      this.area.value = '';
      this.fit();
      this.showButton();
      send(text);
    };
    document.getElementById('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.answering) stop();
      else trySend();
    });
    this.area.addEventListener('keydown', (event) => {
      if (!isSend(event)) return;
      event.preventDefault();
      trySend();
    });
    this.area.addEventListener('input', () => this.showButton());
    this.showButton();
  }

  setAnswering(answering) {
    this.answering = answering;
    this.showButton();
  }

  showButton() {
    const name = this.answering ? 'stop' : 'send';
    if (this.button.dataset.name !== name) setIcon(this.button, name, this.answering ? 'Stop' : 'Send');
    this.button.dataset.name = name;
    this.button.disabled = !this.answering && !this.area.value.trim();
  }

  focus() {
    this.area.focus();
  }
}
