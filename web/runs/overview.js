// The head of the page: one run in numbers, or several side by side.

import {element} from './shared/dom.js';
import {age, count, duration, number, percent} from './format.js';
import {smooth} from './smoothing.js';

const KINDS = {pretraining: 'Pre-training', sft: 'Fine-tuning', rl: 'Reinforcement learning'};
const STATES = {running: 'running', finished: 'finished', interrupted: 'interrupted', stale: 'stopped?'};

// Of the last steps, so that one lucky batch does not decide.
const lately = ({steps}, name) => {
  const values = steps.values.get(name)?.mean;
  return values && smooth(values.slice(-100), 0.9).findLast((value) => value !== null);
};

// What is worth a place at the top: [label, text, what it says].
function figures(data, run) {
  const facts = [];
  const add = (label, value, format, title) => {
    if (value !== undefined && value !== null) facts.push([label, format(value), title]);
  };
  const {steps, validations, result} = data;
  if (data.kind === 'rl') {
    add('reward', lately(data, 'reward'), number, 'mean of the last steps');
    add('right, held out', data.last(validations, 'accuracy'), percent, 'greedy answers to held-out problems');
    add('answer tokens', lately(data, 'answer_tokens'), number, 'mean of the last steps');
    add('KL', lately(data, 'kl'), number, 'from the reference, nats a token');
  } else {
    add('training loss', lately(data, 'loss'), number, 'nats a token, mean of the last steps');
    add('held-out loss', data.last(validations, 'loss'), number, 'nats a token');
    add('bits per byte', result.bits_per_byte ?? data.last(validations, 'bits_per_byte'), number, 'of held-out text');
    add('byte model', result.baseline_bits_per_byte, number, 'bits per byte of an order-4 byte model');
    add('tokens/s', lately(data, 'tokens_per_second'), count, 'mean of the last steps');
    add('MFU', lately(data, 'mfu'), percent, 'model FLOPs over the peak, mean of the last steps');
  }
  add('tokens', data.last(steps, 'tokens') ?? run.tokens, count, 'trained on so far');
  add('parameters', data.start.parameters, count, 'of the model');
  const begin = steps.time.find((time) => time > 0), end = steps.time.findLast((time) => time > 0);
  if (begin && end > begin) facts.push(['time', duration(end - begin), 'from the first step to the last one']);
  return facts;
}

function progress(data, run, now) {
  const {step, state, seconds_left: left} = run;
  const steps = data.start.steps ?? run.steps;
  const words = steps ? `step ${step.toLocaleString('en-US')} of ${steps.toLocaleString('en-US')}` : `step ${step.toLocaleString('en-US')}`;
  const more = state === 'running' && left !== undefined ? `${duration(left)} left`
    : state === 'interrupted' ? `stopped ${age(now - run.time)} ago, goes on with --resume`
    : state === 'stale' ? `nothing has come for ${age(now - run.time)}` : '';
  return element('div', {class: 'progress'},
    steps ? element('progress', {max: steps, value: Math.min(step, steps), 'aria-label': 'Steps done'}) : null,
    element('span', {}, [words, steps ? percent(Math.floor(1000 * Math.min(1, step / steps)) / 1000) : '', more].filter(Boolean).join(' · ')));
}

function single({data, run}, now) {
  return [
    element('div', {class: 'title'}, element('h1', {}, run.name), element('span', {class: `badge ${run.state}`}, STATES[run.state]),
            element('span', {class: 'kind'}, KINDS[data.kind || run.kind] ?? '')),
    progress(data, run, now),
    element('dl', {class: 'figures'}, figures(data, run).map(([label, text, title]) =>
      element('div', {title}, element('dt', {}, label), element('dd', {}, text)))),
  ];
}

function compared(shown, looked, now, onLook) {
  const columns = [...new Set(shown.flatMap(({data, run}) => figures(data, run).map(([label]) => label)))];
  return [
    element('div', {class: 'title'}, element('h1', {}, `${shown.length} runs compared`)),
    element('div', {class: 'scroll'}, element('table', {class: 'compared'},
      element('thead', {}, element('tr', {}, ['Run', 'State', 'Step', ...columns].map((name) => element('th', {scope: 'col'}, name)))),
      element('tbody', {}, shown.map(({data, run, colour}) => {
        const facts = new Map(figures(data, run).map(([label, text]) => [label, text]));
        const state = run.state === 'running' && run.seconds_left !== undefined ? `${duration(run.seconds_left)} left`
          : STATES[run.state];
        return element('tr', {class: run.id === looked ? 'looked' : false},
          element('th', {scope: 'row'}, element('button', {type: 'button', 'aria-pressed': String(run.id === looked), onclick: () => onLook(run.id),
            title: 'Experts, samples and configuration of this run'}, element('span', {class: `swatch s${colour}`}), run.name)),
          element('td', {}, state), element('td', {class: 'number'}, run.step.toLocaleString('en-US')),
          columns.map((label) => element('td', {class: 'number'}, facts.get(label) ?? '')));
      })))),
  ];
}

// shown: [{data, run, colour}]; looked: the id of the one whose experts, samples and configuration are below.
export function showOverview(root, shown, looked, now, onLook) {
  const focused = root.contains(document.activeElement) ? document.activeElement.textContent : null;
  const notes = shown.flatMap(({data, run}) => [
    data.behind ? element('p', {class: 'note', role: 'status'}, `Reading ${run.name}: ${percent(Math.floor(100 * data.share) / 100)}`) : null,
    data.brokenLines > 0 ? element('p', {class: 'note'},
      `${data.brokenLines} ${data.brokenLines === 1 ? 'line' : 'lines'} of ${run.name}’s log could not be read and ${data.brokenLines === 1 ? 'is' : 'are'} left out.`) : null,
  ]).filter(Boolean);
  root.replaceChildren(...(shown.length === 1 ? single(shown[0], now) : compared(shown, looked, now, onLook)), ...notes);
  if (focused !== null) [...root.querySelectorAll('button')].find((button) => button.textContent === focused)?.focus();
}
