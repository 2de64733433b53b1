// A message of the model's as it is shown: thoughts, text, what it took, and what one can do with it.

import {say} from './announce.js';
import {copyButton} from './copy.js';
import {hasText} from './conversation.js';
import {count, dollars, rate, seconds, sentence, tokens} from './format.js';
import {iconButton} from './shared/icons.js';
import {GrowingMarkdown} from './markdown.js';
import {element} from './shared/dom.js';
import {Thoughts} from './thoughts.js';
import {versionSwitch} from './versions.js';

// Of the time, what drawing may take while more is coming: a long block, which is made anew each time, is drawn less often.
const SHARE = 0.25;
const TICK = 100;  // milliseconds

// Why an answer has not all that one would want.
function remark({state, finish, content, reasoning}) {
  switch (state) {
    case 'stopped': return reasoning && !content ? 'Stopped while thinking' : 'Stopped';
    case 'interrupted': return 'Interrupted: the page was closed while this was being written';
    case 'done': break;
    default: return '';
  }
  if (finish === 'length') {
    return content ? 'Cut off: no more tokens were allowed.'
      : 'It ended while it was still thinking: no more tokens were allowed, so there is no answer yet. Go on from here, or allow more and retry.';
  }
  if (content) return '';
  return reasoning ? 'It ended after its thoughts, without an answer.' : 'It ended without a word.';
}

// What a failure is called, by its status.
function failureName(status, code) {
  if (status === 0) return 'No answer.';
  if (code === 'insufficient_quota') return 'The budget is used up.';
  if (status === 429) return 'Not now.';
  if (status === 401 || status === 403) return 'Not allowed.';
  return status < 500 ? `The server refused this (${status}).` : `The server could not answer (${status}).`;
}

export class AnswerView {
  // actions: {retry(message), goOn(message), show(message), limit()}
  constructor(chat, message, actions) {
    Object.assign(this, {chat, message, actions, answering: null, frame: 0, next: 0, whole: false, shown: -1});
    this.thoughts = new Thoughts();
    this.body = element('div', {class: 'prose'});
    this.waiting = element('p', {class: 'waiting', hidden: true});
    this.remark = element('p', {class: 'remark', hidden: true});
    this.failure = element('div', {class: 'failure', hidden: true});
    this.tools = element('div', {class: 'tools'});
    this.numbers = element('p', {class: 'numbers'});
    this.foot = element('div', {class: 'foot'}, this.tools, this.numbers);
    this.node = element('article', {class: 'message answer', 'data-message': message.id},
      element('h2', {class: 'unseen'}, 'Answer'), this.thoughts.node, this.body, this.waiting, this.remark, this.failure, this.foot);
    this.restart();
    this.render();
    this.showTools();
  }

  restart() {
    this.text = new GrowingMarkdown(this.body, (block) => this.isHeard && say(block));
    this.whole = false;
    this.shown = -1;
  }

  // From now on it is written, or no longer.
  follow(answering) {
    this.isHeard = Boolean(answering ?? this.answering);
    this.answering = answering;
    clearInterval(this.ticking);
    if (answering) {
      if (this.whole) this.restart();
      this.ticking = setInterval(() => this.schedule(), TICK);
    } else {
      cancelAnimationFrame(this.frame);
      this.frame = 0;
    }
    this.node.setAttribute('aria-busy', String(Boolean(answering)));
    this.render();
    this.showTools();
  }

  schedule() {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      if (now < this.next) {
        this.schedule();
        return;
      }
      const begin = performance.now();
      this.render();
      this.onRendered?.();
      const end = performance.now();
      this.next = end + (end - begin) * (1 / SHARE - 1);
    });
  }

  render() {
    const {message, answering} = this;
    this.thoughts.update(message, answering);
    const isWhole = !answering;
    if (message.content.length !== this.shown || isWhole !== this.whole) {
      // What another page has changed is made anew.
      if (this.whole) this.restart();
      this.text.update(message.content, isWhole);
      this.shown = message.content.length;
      this.whole = isWhole;
    }
    this.waiting.hidden = !(answering && answering.first === 0);
    if (!this.waiting.hidden) this.waiting.textContent = `Reading · ${seconds(answering.seconds)}`;
    const why = answering ? '' : remark(message);
    this.remark.hidden = !why;
    const atLimit = why && message.state === 'done' && message.finish === 'length';
    this.remark.replaceChildren(why, ...atLimit ? [' ', element('button', {type: 'button', class: 'quiet', onclick: this.actions.limit}, 'Change the limit')] : []);
    this.numbers.textContent = (answering ? this.live() : this.past()).join(' · ');
  }

  live() {
    const {answering} = this;
    if (answering.answer === 0) return [];
    const speed = answering.tokensPerSecond;
    return [seconds(answering.seconds), ...speed ? [rate(speed)] : [], `${tokens(answering.tokens)} out`];
  }

  past() {
    const {usage = {}, timing, took, state} = this.message;
    const parts = [];
    // Of an answer that was stopped the server tells nothing: this is what was counted here.
    const cut = state === 'stopped' && took !== undefined;
    if (cut) parts.push(`stopped after ${seconds(took)}${timing ? '' : ', before the first token'}`);
    if (timing) {
      parts.push(`${seconds(timing.first)} to the first token`);
      if (timing.steps > 0 && timing.writing > 0) parts.push(rate(timing.steps / timing.writing));
    }
    if (usage.input) parts.push(`${tokens(usage.input)} in${usage.cached ? ` (${count(usage.cached)} cached)` : ''}`);
    if (usage.output) parts.push(`${usage.input ? count(usage.output) : tokens(usage.output)} out`);
    if (usage.cost !== undefined) parts.push(dollars(usage.cost));
    return parts;
  }

  showTools() {
    const {chat, message, actions, answering} = this;
    clearInterval(this.countdown);
    this.failure.hidden = !message.failure || Boolean(answering);
    if (!this.failure.hidden) this.showFailure(message.failure);
    if (answering) {
      this.tools.replaceChildren();
      return;
    }
    const canGoOn = hasText(message) && (message.state !== 'done' || message.finish === 'length');
    this.tools.replaceChildren(...[
      versionSwitch(chat, message, actions.show),
      message.content ? copyButton(() => message.content, 'Copy answer') : null,
      message.failure && !hasText(message) ? null : iconButton('retry', 'Retry', () => actions.retry(message), {class: 'icon retry'}),
      canGoOn ? iconButton('more', 'Go on from here', () => actions.goOn(message), {class: 'icon go-on'}) : null,
    ].filter(Boolean));
  }

  showFailure({status, code, text, until}) {
    // What changes every second is told to nobody who does not look for it.
    const when = element('p', {class: 'when'});
    this.failure.replaceChildren(
      element('p', {role: 'alert'}, element('strong', {}, failureName(status, code)), ` ${sentence(text)}`), when,
      element('button', {type: 'button', onclick: () => this.actions.retry(this.message)}, 'Try again'));
    const show = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      when.textContent = left > 0 ? `It can be tried again in ${left < 60 ? `${left} s` : seconds(left)}.` : 'It can be tried again now.';
      if (left <= 0) clearInterval(this.countdown);
    };
    if (!until) return;
    show();
    this.countdown = setInterval(show, 1000);
  }

  // It is no longer shown.
  drop() {
    clearInterval(this.ticking);
    clearInterval(this.countdown);
    cancelAnimationFrame(this.frame);
  }
}
