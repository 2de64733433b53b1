// An answer while it is written: the request, what comes, and when.

import {Failure, streamAnswer} from './api.js';
import {before, hasText} from './conversation.js';
import {saveChat} from './storage.js';
import {sampling} from './settings.js';

const SAVE_EVERY = 1000;  // milliseconds

// What the model is asked: everything before the message, and what it has of it already.
function requestFor(chat, message) {
  const messages = before(chat, message).filter((one) => one.role === 'user' || one.content)
    .map(({role, content}) => ({role, content}));
  if (chat.system.trim()) messages.unshift({role: 'system', content: chat.system});
  if (hasText(message)) {
    const {content, reasoning} = message;
    messages.push({role: 'assistant', content, ...reasoning ? {reasoning_content: reasoning} : {}, prefix: true});
  }
  return {messages, ...sampling()};
}

const sum = (a, b) => a === undefined ? b : b === undefined ? a : a + b;

export class Answering {
  // onChange: something has come. onEnd(failure): it is over; failure is null unless the server or the way to it is the
  // reason.
  constructor(chat, message, {onChange, onEnd}) {
    Object.assign(this, {chat, message, onChange, onEnd});
    this.aborter = new AbortController();
    this.leaving = false;
    this.started = performance.now();
    // Of this request: when the first and the last token came, when the answer proper began; how many.
    this.first = this.last = this.answer = 0;
    this.tokens = this.thoughtTokens = 0;
    this.saved = this.started;
    Object.assign(message, {state: 'writing', failure: null, finish: null, content: message.content ?? '',
                            reasoning: message.reasoning ?? ''});
    // Of the requests before, where this one goes on.
    this.earlier = {usage: message.usage ?? {}, timing: message.timing ?? {}, thought: message.thought, took: message.took};
  }

  stop() {
    this.aborter.abort();
  }

  // What the page keeps when it goes away in the middle.
  leave() {
    this.leaving = true;
    saveChat(this.chat);
  }

  get seconds() {
    return (performance.now() - this.started) / 1000;
  }
  // Of thoughts, so far.
  get thoughtSeconds() {
    return this.first === 0 ? 0 : ((this.answer || performance.now()) - this.first) / 1000;
  }
  get tokensPerSecond() {
    const seconds = (this.last - this.first) / 1000;
    return this.tokens > 1 && seconds > 0 ? (this.tokens - 1) / seconds : null;
  }

  async run() {
    const {message} = this;
    let failure = null;
    try {
      for await (const chunk of streamAnswer(requestFor(this.chat, message), this.aborter.signal)) this.take(chunk);
      message.state = 'done';
    } catch (error) {
      if (this.leaving) return;
      if (error.name !== 'AbortError' && !(error instanceof Failure)) throw error;
      if (error instanceof Failure) failure = error;
      message.state = failure ? 'failed' : 'stopped';
      if (failure) message.failure = {status: failure.status, code: failure.code, text: failure.message, until: failure.until};
    }
    this.note();
    this.chat.changed = Date.now();
    this.onEnd(failure);
  }

  take(chunk) {
    if (this.aborter.signal.aborted) return;
    const {message} = this;
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices[0];
    if (!choice) return;
    if (choice.finish_reason) message.finish = choice.finish_reason;
    // A carriage return of its own would be a line end to what reads markdown, and is none to this page.
    const thought = (choice.delta.reasoning_content ?? '').replaceAll('\r', '');
    const text = (choice.delta.content ?? '').replaceAll('\r', '');
    if (!thought && !text) return;
    const now = performance.now();
    if (this.first === 0) this.first = now;
    this.last = now;
    ++this.tokens;
    if (text && this.answer === 0) this.answer = now;
    if (thought) ++this.thoughtTokens;
    message.reasoning += thought;
    message.content += text;
    if (now - this.saved > SAVE_EVERY) {
      this.saved = now;
      this.note();
      saveChat(this.chat);
    }
    this.onChange();
  }

  // Times and counts so far, with those of the requests before. What the server says counts more than what was counted
  // here.
  note() {
    const {message, usage, earlier} = this;
    if (message.reasoning && this.thoughtTokens > 0) {
      const tokens = usage?.completion_tokens_details?.reasoning_tokens ?? this.thoughtTokens;
      message.thought = {seconds: this.thoughtSeconds + (earlier.thought?.seconds ?? 0), tokens: tokens + (earlier.thought?.tokens ?? 0)};
    }
    const of = earlier.usage;
    message.usage = {
      input: sum(of.input, usage?.prompt_tokens), cached: sum(of.cached, usage?.prompt_cache_hit_tokens),
      output: sum(of.output, usage?.completion_tokens ?? this.tokens), cost: sum(of.cost, usage?.cost),
    };
    message.took = sum(earlier.took, this.seconds);
    if (this.first === 0) return;
    message.timing = {
      first: earlier.timing.first ?? (this.first - this.started) / 1000,
      writing: (this.last - this.first) / 1000 + (earlier.timing.writing ?? 0),
      steps: this.tokens - 1 + (earlier.timing.steps ?? 0),
    };
  }
}
