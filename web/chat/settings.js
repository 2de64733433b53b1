// How answers are made: the system prompt of a chat, thinking, sampling. What is left empty is the model's own choice.

import {iconButton} from './shared/icons.js';
import {element} from './shared/dom.js';
import {read, write} from './shared/kept.js';

const NAME = 'fathom.settings';

// default: what the model's own value is called in /v1/models, or what "empty" means.
const NUMBERS = [
  {name: 'temperature', label: 'Temperature', least: 0, most: 100, hint: '0: always the most probable token'},
  {name: 'top_p', label: 'Top p', least: 0.001, most: 1, hint: 'only the most probable tokens that have this share together'},
  {name: 'top_k', label: 'Top k', least: 0, most: 1000000, whole: true, hint: 'only so many tokens; 0: all'},
  {name: 'min_p', label: 'Min p', least: 0, most: 1, hint: 'only tokens so probable beside the most probable one'},
  {name: 'repetition_penalty', label: 'Repetition penalty', least: 0.1, most: 10, hint: 'above 1: against what has been written or asked'},
  {name: 'frequency_penalty', label: 'Frequency penalty', least: -2, most: 2, placeholder: '0', hint: 'for each time that a token was written'},
  {name: 'presence_penalty', label: 'Presence penalty', least: -2, most: 2, placeholder: '0', hint: 'for tokens that were written at all'},
  {name: 'max_tokens', label: 'Tokens at most', least: 1, most: 1099511627776, whole: true, placeholder: 'the context', hint: 'of thoughts and answer together'},
  {name: 'seed', label: 'Seed', least: 0, most: Number.MAX_SAFE_INTEGER, whole: true, placeholder: 'any', hint: 'the same one gives the same answer again'},
];
const BUDGET = {name: 'thinking_budget', label: 'Thoughts at most', least: 0, most: 1099511627776, whole: true, placeholder: 'any', hint: 'tokens, then the answer has to begin'};
const FIELDS = new Map([...NUMBERS, BUDGET].map((field) => [field.name, field]));
const THINK = [['auto', 'Auto'], ['on', 'On'], ['off', 'Off']];

const values = read(NAME) ?? {};

// Fields of a request.
export function sampling() {
  const fields = {};
  for (const {name} of [...NUMBERS, BUDGET]) {
    if (typeof values[name] === 'number') fields[name] = values[name];
  }
  if (values.think === 'on' || values.think === 'off') fields.thinking = {type: values.think === 'on' ? 'enabled' : 'disabled'};
  if (values.think === 'off') delete fields.thinking_budget;
  return fields;
}

function keep(name, value) {
  if (value === null) delete values[name];
  else values[name] = value;
  write(NAME, values);
}

// What a number may be, in words. A bound that nobody comes near is not worth saying.
function rangeOf({least, most, whole}) {
  return `a ${whole ? 'whole ' : ''}number ${most > 1e9 ? `from ${least} on` : `from ${least} to ${most.toLocaleString('en-US')}`}`;
}

function numberField({name, label, least, most, whole, placeholder = '', hint}, changed) {
  const id = `set-${name}`;
  const fault = element('p', {class: 'fault', id: `${id}-fault`, 'aria-live': 'polite'});
  const input = element('input', {type: 'number', id, min: least, max: most, step: whole ? 1 : 'any', placeholder,
    inputmode: whole ? 'numeric' : 'decimal', 'aria-describedby': `${id}-fault ${id}-hint`});
  input.value = values[name] ?? '';
  input.addEventListener('input', () => {
    const {valid} = input.validity;
    if (valid) keep(name, input.value === '' ? null : Number(input.value));
    input.setAttribute('aria-invalid', String(!valid));
    fault.textContent = valid ? '' : `Has to be ${rangeOf({least, most, whole})}, or empty.`;
    changed();
  });
  return element('div', {class: 'field'}, element('label', {for: id}, label), input, fault, element('p', {class: 'hint', id: `${id}-hint`}, hint));
}

export class Settings {
  // onSystem(text), onClose(), onForgetKey()
  constructor(root, {onSystem, onClose, onForgetKey}) {
    this.root = root;
    this.system = element('textarea', {id: 'set-system', rows: 4, placeholder: 'None', oninput: () => onSystem(this.system.value)});
    this.reset = element('button', {type: 'button', class: 'quiet', onclick: () => {
      for (const name of Object.keys(values)) keep(name, null);
      this.show();
      this.body.querySelector('input').focus();
    }}, 'Back to the model’s defaults');
    this.forgetKey = element('button', {type: 'button', class: 'quiet', hidden: true, onclick: onForgetKey}, 'Forget the key');
    this.body = element('div', {});
    root.replaceChildren(
      element('div', {class: 'drawer-head'}, element('h2', {id: 'settings-title'}, 'Settings'), iconButton('close', 'Close settings', onClose)),
      element('div', {class: 'drawer-body'},
        element('div', {class: 'field tall'}, element('label', {for: 'set-system'}, 'System prompt'), this.system,
          element('p', {class: 'hint'}, 'of this chat, from its next answer on')),
        this.body, this.reset, this.forgetKey));
    this.defaults = {};
    this.show();
  }

  show() {
    const changed = () => { this.reset.hidden = Object.keys(values).length === 0; };
    const think = element('fieldset', {class: 'choice'}, element('legend', {}, 'Thinking'),
      element('div', {class: 'segments'}, THINK.map(([value, label]) => element('label', {},
        element('input', {type: 'radio', name: 'think', value, checked: (values.think ?? 'auto') === value, onchange: () => {
          keep('think', value === 'auto' ? null : value);
          changed();
        }}), element('span', {}, label)))));
    this.body.replaceChildren(think, numberField(BUDGET, changed), element('h3', {}, 'Sampling'),
      ...NUMBERS.map((number) => numberField({...number, placeholder: this.placeholder(number)}, changed)));
    changed();
  }

  // The first field that has what cannot be sent: {name, text}, or null.
  fault() {
    const input = this.body.querySelector('input:invalid');
    return input && {name: input.id.replace('set-', ''), text: `${input.labels[0].textContent} has to be ${rangeOf(FIELDS.get(input.id.replace('set-', '')))}.`};
  }
  focus(name) {
    const input = document.getElementById(`set-${name}`);
    input.focus();
    input.select();
  }

  placeholder({name, placeholder}) {
    return String(this.defaults[name] ?? placeholder ?? '');
  }
  // What the model does when nothing is said. Somebody may be typing: the fields stay.
  setDefaults(defaults) {
    this.defaults = defaults ?? {};
    for (const number of NUMBERS) this.body.querySelector(`#set-${number.name}`).placeholder = this.placeholder(number);
  }
  setSystem(text) {
    this.system.value = text;
  }
  setHasKey(has) {
    this.forgetKey.hidden = !has;
  }
}
