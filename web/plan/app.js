// The planner page: scenarios, their link, and what the server says about them.

import {showControls, showFault} from './controls.js';
import {element} from './shared/dom.js';
import {QUESTIONS} from './questions.js';
import {LETTERS, showResults} from './results.js';

const WAIT = 120;  // milliseconds without a change before the server is asked

const part = (id) => document.getElementById(id);
const state = {commands: [], command: null, scenarios: [], selected: 0, onlyDifferences: false};

const selected = () => state.scenarios[state.selected];
const scenarioOf = (options = {}) => ({options: {...options}, result: null, error: null, asked: null});

// "#serve?on=h20&speed=15;serve?on=h800"
function toLink() {
  return '#' + state.scenarios.map(({options}) => {
    const pairs = Object.entries(options).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    return state.command.name + (pairs.length ? `?${pairs.join('&')}` : '');
  }).join(';');
}

function fromLink(fragment) {
  const scenarios = [];
  let command = null;
  for (const piece of fragment.replace(/^#/, '').split(';').slice(0, LETTERS.length)) {
    const [name, query = ''] = piece.split('?');
    command ??= state.commands.find((candidate) => candidate.name === name);
    if (!command || command.name !== name) continue;
    const options = {};
    for (const pair of query.split('&').filter(Boolean)) {
      const [key, value = 'true'] = pair.split('=').map((text) => {
        try {
          return decodeURIComponent(text);
        } catch {
          return text;
        }
      });
      options[key] = value;
    }
    scenarios.push(scenarioOf(options));
  }
  return command && {command, scenarios};
}

const request = ({options}) => JSON.stringify({command: state.command.name, options});
const post = (scenario, format, signal) => fetch(`plan?format=${format}`,
  {method: 'POST', headers: {'Content-Type': 'application/json'}, body: request(scenario), signal});

async function ask(scenario) {
  scenario.asked?.abort();
  const asked = scenario.asked = new AbortController();
  try {
    const response = await post(scenario, 'json', asked.signal);
    const answer = await response.json();
    if (response.ok) [scenario.result, scenario.error] = [answer, null];
    else scenario.error = answer.error;
  } catch (error) {
    if (error.name === 'AbortError') return;
    scenario.error = {message: 'the server does not answer; is fathom plan page still running?'};
  }
  if (scenario.asked === asked) scenario.asked = null;
  render();
}

let timer = 0;
function changed() {
  const scenario = selected();
  part('output').setAttribute('aria-busy', 'true');
  showScenarios();
  clearTimeout(timer);
  timer = setTimeout(() => {
    history.replaceState(null, '', toLink());
    ask(scenario);
  }, WAIT);
}

function describe({options}) {
  const pairs = Object.entries(options).map(([name, value]) => value.startsWith('{') ? 'your config'
    : name === 'model' || name === 'on' ? value : value === 'true' ? name : `${name.replaceAll('-', ' ')} ${value}`);
  return pairs.length ? pairs.join(', ') : 'the defaults';
}

function select(index) {
  state.selected = index;
  showControls(part('controls'), state.command, selected(), changed);
  part('controls-title').textContent = state.scenarios.length > 1 ? `Options of ${LETTERS[index]}` : 'Options';
  showScenarios();
  render();
}

async function download(format) {
  const response = await post(selected(), format);
  if (!response.ok) return;
  const link = element('a', {href: URL.createObjectURL(await response.blob()),
                             download: `fathom-plan-${state.command.name}.${format}`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function showScenarios() {
  const several = state.scenarios.length > 1;
  part('scenarios').replaceChildren(
    ...state.scenarios.map((scenario, i) => element('div', {class: `scenario scenario-${i}${i === state.selected ? ' selected' : ''}`},
      element('button', {type: 'button', class: 'pick', 'aria-pressed': String(i === state.selected), onclick: () => select(i)},
        element('b', {}, LETTERS[i]), ' ', describe(scenario)),
      several ? element('button', {type: 'button', class: 'remove', 'aria-label': `Remove ${LETTERS[i]}`, title: 'Remove',
        onclick: () => {
          scenario.asked?.abort();
          state.scenarios.splice(i, 1);
          history.replaceState(null, '', toLink());
          select(Math.min(state.selected, state.scenarios.length - 1));
        }}, '×') : null)),
    state.scenarios.length < LETTERS.length ? element('button', {type: 'button', id: 'add', onclick: () => {
      state.scenarios.push({...scenarioOf(selected().options), result: selected().result});
      history.replaceState(null, '', toLink());
      select(state.scenarios.length - 1);
    }}, '+ compare') : '',
    element('span', {class: 'downloads'}, 'Download ', ['html', 'json', 'csv'].map((format) =>
      element('button', {type: 'button', onclick: () => download(format)}, format === 'html' ? 'report' : format.toUpperCase()))));
}

function render() {
  const output = part('output');
  output.setAttribute('aria-busy', String(state.scenarios.some(({asked}) => asked)));
  const {error} = selected();
  showFault(part('controls'), error?.field ?? null, error?.message ?? '');
  showResults(output, state.scenarios, state.selected, state.onlyDifferences, (only) => {
    state.onlyDifferences = only;
    render();
  });
}

function open(command, scenarios) {
  state.scenarios.forEach(({asked}) => asked?.abort());
  state.command = command;
  state.scenarios = scenarios;
  part('help').textContent = command.help;
  for (const tab of part('commands').children) {
    tab.setAttribute('aria-selected', String(tab.dataset.command === command.name));
  }
  select(0);
  history.replaceState(null, '', toLink());
  scenarios.forEach(ask);
}

async function start() {
  const response = await fetch('options');
  state.commands = (await response.json()).commands;
  part('commands').replaceChildren(...state.commands.map((command) =>
    element('button', {type: 'button', role: 'tab', 'data-command': command.name, title: command.help,
                       onclick: () => open(command, [scenarioOf()])}, command.name)));
  const known = (question) => state.commands.some(({name}) => name === question.command);
  part('questions').append(...QUESTIONS.filter(known).map((question, i) => element('option', {value: i}, question.title)));
  part('questions').addEventListener('change', ({target}) => {
    if (target.value === '') return;
    const question = QUESTIONS.filter(known)[Number(target.value)];
    open(state.commands.find(({name}) => name === question.command), question.scenarios.map(scenarioOf));
  });
  part('link').addEventListener('click', async () => {
    history.replaceState(null, '', toLink());
    try {
      await navigator.clipboard.writeText(location.href);
      part('link').textContent = 'Copied';
    } catch {
      part('link').textContent = 'It is in the address';
    }
    setTimeout(() => { part('link').textContent = 'Copy link'; }, 2000);
  });
  const load = () => {
    const linked = fromLink(location.hash);
    open(linked?.command ?? state.commands.find(({name}) => name === 'serve') ?? state.commands[0],
         linked?.scenarios ?? [scenarioOf()]);
  };
  window.addEventListener('hashchange', load);
  load();
}

start().catch((error) => {
  part('output').replaceChildren(element('p', {class: 'failure', role: 'alert'}, `The page could not start: ${error.message}`));
});
