// The runs beside the charts: which there are, how far they are, which are shown.

import {element} from './shared/dom.js';
import {age, duration, number, percent} from './format.js';

const KINDS = {pretraining: 'pre-training', sft: 'fine-tuning', rl: 'reinforcement'};

function stateOf({state, seconds_left: left, time}, now) {
  if (state === 'finished' || state === 'interrupted') return state;
  if (state === 'running') return left === undefined ? 'running' : `${duration(left)} left`;
  return time > 0 ? `silent for ${age(now - time)}` : 'nothing yet';
}

export class RunList {
  // onShow(id): this one alone; onToggle(id): beside the others, or no longer.
  constructor(root, {onShow, onToggle}) {
    this.onShow = onShow;
    this.onToggle = onToggle;
    this.rows = new Map();  // by id
    this.filter = '';
    this.search = element('input', {type: 'search', id: 'filter', placeholder: 'Filter runs', 'aria-label': 'Filter runs', oninput: () => {
      this.filter = this.search.value.trim().toLowerCase();
      this.applyFilter();
    }});
    this.list = element('ul', {class: 'runs', 'aria-label': 'Runs'});
    this.none = element('p', {class: 'hint', hidden: true}, 'No runs yet. A run is a folder with a log.jsonl; what begins to train shows up here.');
    root.append(this.search, this.list, this.none);
  }

  rowOf(id) {
    if (this.rows.has(id)) return this.rows.get(id);
    const box = element('input', {type: 'checkbox', onchange: () => this.onToggle(id)});
    const name = element('span', {class: 'name'}), facts = element('span', {class: 'facts'}), state = element('span', {class: 'state'});
    const bar = element('progress', {max: 1, value: 0, 'aria-label': 'progress'});
    const button = element('button', {type: 'button', onclick: () => this.onShow(id)}, name, facts, bar, state);
    const row = {box, name, facts, state, bar, button, element: element('li', {'data-run': id}, box, button)};
    this.rows.set(id, row);
    return row;
  }

  // shown: colours of the runs that are shown, by id; looked: the id of the one that is looked at.
  show(runs, now, shown, looked) {
    const elements = runs.map((run) => {
      const row = this.rowOf(run.id);
      row.search = run.name.toLowerCase();
      row.name.textContent = run.name;
      row.name.title = run.name;
      const value = run.reward !== undefined ? `reward ${number(run.reward)}` : run.loss !== undefined ? `loss ${number(run.loss)}` : '';
      const done = run.steps ? run.step / run.steps : null;
      row.facts.textContent = [KINDS[run.kind], value].filter(Boolean).join(' · ');
      const far = run.state === 'running' && done !== null ? percent(Math.floor(100 * done) / 100) : `step ${run.step.toLocaleString('en-US')}`;
      row.state.textContent = `${far} · ${stateOf(run, now)}`;
      row.element.className = `${run.state}${run.id in shown ? ` shown s${shown[run.id]}` : ''}${run.id === looked ? ' looked' : ''}`;
      row.bar.hidden = run.state !== 'running' || done === null;
      row.bar.value = done ?? 0;
      row.box.checked = run.id in shown;
      row.box.setAttribute('aria-label', `Compare ${run.name}`);
      row.button.setAttribute('aria-current', String(run.id === looked));
      return row.element;
    });
    // What is where it was stays, so that nobody loses the focus.
    const same = elements.length === this.list.children.length && elements.every((one, i) => one === this.list.children[i]);
    if (!same) {
      const focused = document.activeElement;
      this.list.replaceChildren(...elements);
      if (this.list.contains(focused)) focused.focus();
    }
    for (const id of this.rows.keys()) if (!runs.some((run) => run.id === id)) this.rows.delete(id);
    this.none.hidden = runs.length > 0;
    this.search.hidden = runs.length < 6 && this.filter === '';
    this.applyFilter();
  }

  applyFilter() {
    for (const row of this.rows.values()) row.element.hidden = !row.search.includes(this.filter);
  }
}
