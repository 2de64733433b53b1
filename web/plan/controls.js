// Sliders, lists and boxes of one scenario, made from the table of options that the server gives.

import {element} from './shared/dom.js';
import {short} from './shared/numbers.js';

// Where a slider goes when the whole range of an option is too wide to be one; the number box beside
// takes the rest.
const USUAL = {
  tokens: [1e9, 1e14], devices: [8, 65536], tp: [1, 64], pp: [1, 64], ep: [1, 512], batch: [64, 65536],
  length: [512, 131072], 'micro-batch': [1, 64], utilisation: [0.1, 0.8], rent: [0.2, 20], speed: [2, 200],
  context: [256, 262144], 'prefill-devices': [8, 512], 'decode-devices': [8, 1024], 'kv-heads': [1, 128],
  'device-price': [1000, 100000], restarts: [0, 1], reinforcement: [0, 1], experiments: [0, 10], data: [1e5, 1e9],
  people: [1, 1000], 'person-year': [3e4, 2e6], 'work-years': [0.1, 4], 'input-tokens': [1e7, 1e13],
  'output-tokens': [1e6, 1e13], 'peak-demand': [1, 4], burst: [1, 3], refusals: [1e-4, 0.2], 'answer-tokens': [50, 20000],
  'redundant-experts': [0, 256], users: [1e4, 1e9], answers: [0.5, 50], patience: [5, 600], closing: [0.005, 0.5],
  price: [0.05, 100], cost: [0.01, 100], 'leader-price': [0.1, 200], progress: [1.5, 30], years: [0.5, 10], lag: [0, 4],
  elasticity: [0, 4], 'supply-elasticity': [0, 4], samples: [0, 2000], seed: [1, 20],
};
const NAMES = {tp: 'TP', pp: 'PP', ep: 'EP', mtp: 'MTP', 'no-mtp': 'No MTP', zero: 'ZeRO', 'kv-heads': 'KV heads', on: 'Device'};
const openGroups = new Set();
const STEPS = 400;

function sliderScale(option) {
  const start = Number(option.default ?? option.likely);
  let [from, to] = USUAL[option.name] ??
    (option.most - option.least <= 200 ? [option.least, option.most]
      : start > 0 ? [start / 32, start * 32] : [Math.max(option.least, option.most / 1e4), option.most]);
  [from, to] = [Math.max(from, option.least), Math.min(to, option.most)];
  const logarithmic = from > 0 && to / from > 20;
  const snap = (value) => {
    if (option.kind === 'integer') {
      // Groups of devices and lengths are mostly powers of two.
      return logarithmic ? 2 ** Math.round(Math.log2(value)) : Math.round(value);
    }
    return Number(value.toPrecision(2));
  };
  return {
    position: (value) => Math.round(STEPS * Math.min(1, Math.max(0, logarithmic
      ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from)))),
    value: (position) => Math.min(option.most, Math.max(option.least, snap(logarithmic
      ? from * (to / from) ** (position / STEPS) : from + (to - from) * position / STEPS))),
  };
}

function numberField(option, id, current, set) {
  const scale = sliderScale(option);
  const unit = option.unit && option.unit !== '1' ? option.unit : '';
  const slider = element('input', {type: 'range', min: 0, max: STEPS, step: 1, id: `${id}-slider`,
                                   'aria-label': `${option.help}, slider`});
  const box = element('input', {type: 'number', id, min: option.least, max: option.most,
                                step: option.kind === 'integer' ? 1 : 'any', inputmode: 'decimal',
                                placeholder: option.default ? '' : option.likely === undefined ? 'auto' : short(option.likely, '1'), title: option.default ? '' : 'empty: what the data or the model say'});
  // Without an exponent as long as that is short.
  const plain = (number) => number >= 1e8 ? number.toExponential().replace('+', '') : String(number);
  const usual = option.likely === undefined ? STEPS / 2 : scale.position(option.likely);
  const show = (value) => {
    const shown = value ?? option.default;
    box.value = shown === undefined ? '' : plain(Number(shown));
    slider.value = shown === undefined ? usual : scale.position(Number(shown));
    slider.classList.toggle('unset', shown === undefined);
    slider.setAttribute('aria-valuetext', shown === undefined ? 'from the data' : `${short(Number(shown), '1')} ${unit}`);
  };
  slider.addEventListener('input', () => {
    const value = String(scale.value(Number(slider.value)));
    box.value = plain(Number(value));
    slider.classList.remove('unset');
    slider.setAttribute('aria-valuetext', `${short(Number(value), '1')} ${unit}`);
    set(value);
  });
  box.addEventListener('input', () => {
    slider.value = box.value === '' ? usual : scale.position(Number(box.value));
    slider.classList.toggle('unset', box.value === '');
    set(box.value === '' ? undefined : box.value);
  });
  show(current);
  return {body: [element('div', {class: 'pair'}, slider, box, element('span', {class: 'unit'}, unit))], show};
}

function choiceField(option, id, current, set) {
  const select = element('select', {id, onchange: () => set(select.value || undefined)},
                         option.default ? '' : element('option', {value: ''}, 'auto'),
                         option.choices.map((choice) => element('option', {value: choice}, choice)));
  const show = (value) => { select.value = value ?? option.default ?? ''; };
  show(current);
  return {body: [select], show};
}

// A published model, or the text of a config.json.
function modelField(option, id, current, set) {
  const own = '{';
  const area = element('textarea', {id: `${id}-config`, rows: 6, spellcheck: 'false',
                                    placeholder: '{"model_type": "deepseek_v3", …}',
                                    'aria-label': 'The text of a config.json'});
  const select = element('select', {id}, option.choices.map((choice) => element('option', {value: choice}, choice)),
                         element('option', {value: own}, 'your config.json …'));
  const show = (value) => {
    const text = value ?? option.default ?? '';
    const isOwn = text.startsWith(own);
    select.value = isOwn ? own : text;
    area.hidden = !isOwn;
    if (isOwn) area.value = text;
  };
  select.addEventListener('change', () => {
    area.hidden = select.value !== own;
    if (select.value !== own) set(select.value);
    else area.focus();
  });
  area.addEventListener('input', () => {
    if (area.value.trim() === '') return;
    try {
      set(JSON.stringify(JSON.parse(area.value)));
      area.setCustomValidity('');
    } catch (error) {
      area.setCustomValidity(`not JSON: ${error.message}`);
      area.reportValidity();
    }
  });
  show(current);
  return {body: [select, area], show};
}

function flagField(option, id, current, set) {
  const box = element('input', {type: 'checkbox', id, onchange: () => set(box.checked ? 'true' : undefined)});
  const show = (value) => { box.checked = (value ?? option.default) === 'true'; };
  show(current);
  return {body: [box], show};
}

function textField(option, id, current, set) {
  const box = element('input', {type: 'text', id, oninput: () => set(box.value === '' ? undefined : box.value)});
  const show = (value) => { box.value = value ?? option.default ?? ''; };
  show(current);
  return {body: [box], show};
}

// Fills `form` with the controls of a scenario; changed() follows every change of its options.
export function showControls(form, command, scenario, changed) {
  const groups = new Map();
  for (const option of command.options) {
    const id = `option-${option.name}`;
    const row = element('div', {class: 'option', 'data-option': option.name});
    const reset = element('button', {type: 'button', class: 'reset', title: 'Back to the default',
                                     'aria-label': `${option.name}: back to the default`}, '↺');
    const mark = () => row.classList.toggle('given', scenario.options[option.name] !== undefined);
    const set = (value) => {
      if (value === undefined || value === option.default) delete scenario.options[option.name];
      else scenario.options[option.name] = value;
      mark();
      changed();
    };
    const make = option.name === 'model' ? modelField : option.kind === 'flag' ? flagField
      : option.kind === 'choice' ? choiceField : option.kind === 'text' ? textField : numberField;
    const field = make(option, id, scenario.options[option.name], set);
    reset.addEventListener('click', () => {
      set(undefined);
      field.show(undefined);
    });
    row.append(element('div', {class: 'name'}, element('label', {for: id}, NAMES[option.name] ?? option.name.replaceAll('-', ' ')), reset),
               ...field.body, element('p', {class: 'hint'}, option.help), element('p', {class: 'wrong', hidden: true}));
    mark();
    const group = option.group ?? '';
    groups.set(group, [...groups.get(group) ?? [], {option, row}]);
  }
  // What is asked most is open, and so is where something was given.
  const parts = [...groups].filter(([name]) => name !== '').map(([name, rows]) => {
    const part = element('details', {class: 'group',
      open: openGroups.has(name) || rows.some(({option}) => scenario.options[option.name] !== undefined),
      ontoggle: () => part.open ? openGroups.add(name) : openGroups.delete(name)},
    element('summary', {}, name), rows.map(({row}) => row));
    return part;
  });
  form.replaceChildren(...(groups.get('') ?? []).map(({row}) => row), ...parts);
}

// Says beside its control what is wrong with an option; null: nothing is.
export function showFault(form, field, message) {
  for (const row of form.querySelectorAll('.option')) {
    const wrong = row.querySelector('.wrong'), here = row.dataset.option === field;
    wrong.hidden = !here;
    wrong.textContent = here ? message : '';
    row.classList.toggle('faulty', here);
    if (here && row.closest('details')) row.closest('details').open = true;
  }
}
