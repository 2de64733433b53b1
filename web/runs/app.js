// The run dashboard: which runs are shown, and what of their logs is new.

import {fetchConfig, fetchNews, fetchRuns, fetchSamples, Refused} from './api.js';
import {ChartPanel, groupSections} from './chart_panel.js';
import {Configuration} from './configuration.js';
import {Experts} from './experts.js';
import {showOverview} from './overview.js';
import {RunData} from './run_data.js';
import {RunList} from './run_list.js';
import {Samples} from './samples.js';
import {read, write} from './shared/kept.js';
import {element} from './shared/dom.js';
import {startTheme} from './shared/theme.js';

const EVERY = 1500;  // milliseconds between looks at the logs
const AWAY = 10000;  // the most between tries when the server does not answer
const MOST_SHOWN = 8;  // as many as there are colours

const part = (id) => document.getElementById(id);
const SETTINGS = 'fathom.runs';
const settings = {axis: 'step', smoothing: 0.6, ...read(SETTINGS)};

const state = {runs: [], now: 0, shown: new Map(), looked: null, failures: 0, listed: false};  // shown: colours by id
const data = new Map();  // RunData by id

const say = (text) => { part('spoken').textContent = text; };

const panel = new ChartPanel(groupSections(part('groups')), {
  say,
  onZoom: (zoomed) => { part('reset-zoom').hidden = !zoomed; },
});
const experts = new Experts(part('groups').querySelector('[data-group=Experts]').appendChild(element('div', {hidden: true})), say);
const samples = new Samples(part('samples'), (run, step) => fetchSamples(run.id, step));
const configuration = new Configuration(part('configuration'), fetchConfig);
const list = new RunList(part('run-list'), {
  onShow(id) {
    state.shown = new Map([[id, state.shown.get(id) ?? 0]]);
    choose(id);
    closeRuns();
  },
  onToggle(id) {
    if (state.shown.has(id) && state.shown.size > 1) state.shown.delete(id);
    else if (!state.shown.has(id) && state.shown.size < MOST_SHOWN) state.shown.set(id, freeColour());
    choose(state.shown.has(id) ? id : [...state.shown.keys()].at(-1));
  },
});

function freeColour() {
  const taken = new Set(state.shown.values());
  return [...Array(MOST_SHOWN).keys()].find((colour) => !taken.has(colour)) ?? 0;
}

// "#run=ID&run=ID": the first one is looked at.
function fromLink() {
  const ids = new URLSearchParams(location.hash.slice(1)).getAll('run').filter((id) => /^[0-9a-f]{16}$/.test(id));
  state.shown = new Map(ids.slice(0, MOST_SHOWN).map((id, colour) => [id, colour]));
  state.looked = ids[0] ?? null;
}

function toLink() {
  const others = [...state.shown.keys()].filter((id) => id !== state.looked);
  history.replaceState(null, '', `#${[state.looked, ...others].map((id) => `run=${id}`).join('&')}`);
}

function choose(id) {
  state.looked = id;
  toLink();
  show();
  look();
}

// Whoever opens the page without a link sees what goes on now.
function chooseFirst() {
  for (const id of [...state.shown.keys()]) if (!state.runs.some((run) => run.id === id)) state.shown.delete(id);
  if (state.shown.size === 0 && state.runs.length > 0) {
    const first = state.runs.find((run) => run.state === 'running') ?? state.runs[0];
    state.shown.set(first.id, 0);
  }
  if (!state.shown.has(state.looked)) state.looked = state.shown.keys().next().value ?? null;
}

function dataOf(id) {
  if (!data.has(id)) data.set(id, new RunData(id));
  return data.get(id);
}

const shownRuns = () => [...state.shown].flatMap(([id, colour]) => {
  const run = state.runs.find((one) => one.id === id);
  return run ? [{run, colour, data: dataOf(id)}] : [];
});

function show() {
  list.show(state.runs, state.now, Object.fromEntries(state.shown), state.looked);
  const shown = shownRuns(), looked = shown.find(({run}) => run.id === state.looked);
  document.body.classList.toggle('empty', shown.length === 0);
  part('welcome').hidden = !state.listed || shown.length > 0;
  part('shown').hidden = shown.length === 0;
  if (shown.length === 0) return;
  showOverview(part('overview'), shown, state.looked, state.now, choose);
  panel.show(shown);
  experts.show(looked.data);
  samples.show(looked.data);
  const ofLooked = shown.length > 1 ? ` of ${looked.run.name}` : '';
  part('samples-title').textContent = `Samples${ofLooked}`;
  for (const group of part('groups').children) {
    group.hidden = group.classList.contains('without-charts') && !(group.dataset.group === 'Experts' && !experts.root.hidden);
  }
  part('samples-section').hidden = part('samples').hidden;
  configuration.show([looked, ...shown.filter((one) => one !== looked)].map(({run, data: {epoch}, colour}) => ({id: run.id, epoch, name: run.name, colour})));
  const {run} = looked;
  document.title = `${run.state === 'running' && run.steps ? `${Math.floor(100 * run.step / run.steps)} % ` : ''}${run.name} – Fathom runs`;
}

// One look at the list and at the logs of the runs that are shown; all of a long log, piece by piece. Returns whether
// anything has changed.
async function lookOnce() {
  const {runs, now} = await fetchRuns();
  let changed = JSON.stringify(runs) !== JSON.stringify(state.runs);
  [state.runs, state.now, state.listed] = [runs, now, true];
  chooseFirst();
  await Promise.all([...state.shown.keys()].map(async (id) => {
    try {
      changed = dataOf(id).take(await fetchNews(dataOf(id).query(id === state.looked))) || changed;
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error;
      data.delete(id);  // it has gone since the list was made
    }
  }));
  return changed;
}

let timer = 0, looking = false, again = false;
async function look() {
  clearTimeout(timer);
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  let changed = false;
  try {
    changed = await lookOnce();
    if (state.failures > 0) say('The server answers again.');
    state.failures = 0;
  } catch (error) {
    ++state.failures;
    part('why').textContent = error instanceof Refused ? `: ${error.message}` : '';
  }
  looking = false;
  part('disconnected').hidden = state.failures === 0;
  const behind = state.failures === 0 && (again || shownRuns().some((one) => one.data.behind));
  again = false;
  // Nobody looks at a page that is hidden.
  if (!document.hidden) timer = setTimeout(look, behind ? 0 : Math.min(AWAY, EVERY * 2 ** state.failures));
  if (state.failures > 0) return;
  if (changed || !state.drawn) show();
  // How long a run has been silent is news, too.
  else list.show(state.runs, state.now, Object.fromEntries(state.shown), state.looked);
  state.drawn = true;
}

function closeRuns() {
  document.body.classList.remove('choosing');
  part('show-runs').setAttribute('aria-expanded', 'false');
}

function keep() {
  write(SETTINGS, settings);
}

function start() {
  startTheme(part('theme'));
  part('show-runs').addEventListener('click', () => {
    part('show-runs').setAttribute('aria-expanded', String(document.body.classList.toggle('choosing')));
  });
  for (const choice of document.querySelectorAll('input[name=axis]')) {
    choice.checked = choice.value === settings.axis;
    choice.addEventListener('change', () => {
      settings.axis = choice.value;
      keep();
      panel.setAxis(choice.value);
    });
  }
  const smoothing = part('smoothing'), shownSmoothing = () => {
    part('smoothing-value').textContent = settings.smoothing > 0 ? settings.smoothing.toFixed(2) : 'none';
  };
  smoothing.value = settings.smoothing;
  smoothing.addEventListener('input', () => {
    settings.smoothing = Number(smoothing.value);
    shownSmoothing();
    keep();
    panel.setSmoothing(settings.smoothing);
  });
  shownSmoothing();
  panel.axis = settings.axis;
  panel.smoothing = settings.smoothing;
  part('reset-zoom').addEventListener('click', () => panel.setZoom(null));
  part('try').addEventListener('click', look);
  document.addEventListener('visibilitychange', () => document.hidden || look());
  // What the canvases show has colours of its own.
  const colours = () => requestAnimationFrame(() => experts.run && experts.show(experts.run));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', colours);
  new MutationObserver(colours).observe(document.documentElement, {attributes: true, attributeFilter: ['data-theme']});
  addEventListener('hashchange', () => {
    fromLink();
    look();
  });
  fromLink();
  look();
}

start();
