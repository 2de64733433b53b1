// What the page has of a run's log, brought up to date by what the server says is new.

class Columns {
  constructor() {
    this.clear();
  }

  clear() {
    this.stride = 1;
    this.step = [];
    this.tokens = [];
    this.time = [];
    this.values = new Map();  // name: {mean, low, high}; without low and high where a place is one line
  }

  get length() {
    return this.step.length;
  }

  take({stride, from, step, tokens, time, values}) {
    const join = (old, more) => {
      const kept = from === 0 ? [] : old.slice(0, from);
      while (kept.length < from) kept.push(null);
      return kept.concat(more);
    };
    this.stride = stride;
    this.step = join(this.step, step);
    this.tokens = join(this.tokens, tokens);
    this.time = join(this.time, time);
    for (const [name, lists] of Object.entries(values)) {
      const old = this.values.get(name) ?? {};
      this.values.set(name, Object.fromEntries(['mean', 'low', 'high'].filter((key) => lists[key])
        .map((key) => [key, join(old[key] ?? [], lists[key])])));
    }
  }
}

export class RunData {
  constructor(id) {
    this.id = id;
    this.epoch = '';
    this.clear();
  }

  clear() {
    this.steps = new Columns();
    this.validations = new Columns();
    this.samples = [];  // the step of each
    this.loads = {step: [], load: []};
    this.start = {};
    this.result = {};
    this.expertLayers = [];
    this.kind = '';
    this.behind = false;
    this.share = 1;  // of the log that has been read
    this.brokenLines = 0;
  }

  // The end of the address that asks for what is new. The last place may still grow.
  query(withLoads) {
    const last = (columns) => Math.max(0, columns.length - 1);
    return `run=${this.id}&epoch=${this.epoch}&steps=${last(this.steps)}&validations=${last(this.validations)}` +
      `&samples=${this.samples.length}${withLoads ? `&loads=${this.loads.step.length}` : ''}`;
  }

  // Returns whether anything has changed.
  take(news) {
    const anew = news.epoch !== this.epoch;
    const grew = (columns, {from, step}) => from + step.length !== columns.length ||
      step.some((at, i) => at !== columns.step[from + i]);
    const changed = anew || news.behind !== this.behind || grew(this.steps, news.steps) ||
      grew(this.validations, news.validations) || news.samples.step.length > 0 || (news.loads?.step.length ?? 0) > 0 ||
      Object.keys(news.result).length !== Object.keys(this.result).length;
    if (anew) this.clear();
    this.epoch = news.epoch;
    this.kind = news.kind;
    this.start = news.start;
    this.result = news.result;
    this.expertLayers = news.expert_layers;
    this.behind = news.behind;
    this.share = news.size > 0 ? news.read / news.size : 1;
    this.brokenLines = news.broken_lines;
    this.steps.take(news.steps);
    this.validations.take(news.validations);
    this.samples = this.samples.slice(0, news.samples.from).concat(news.samples.step);
    if (news.loads) {
      this.loads = {step: this.loads.step.slice(0, news.loads.from).concat(news.loads.step),
                    load: this.loads.load.slice(0, news.loads.from).concat(news.loads.load)};
    }
    return changed;
  }

  // Where the places of some columns stand on an axis: 'step', 'tokens', or 'time' since the run's beginning.
  places(columns, axis) {
    if (axis !== 'time') return columns[axis];
    const begin = this.steps.time.find((time) => time > 0) ?? 0;
    return columns.time.map((time) => time > 0 ? Math.max(0, time - begin) : null);
  }

  // The newest number of that name; undefined where there is none.
  last(columns, name) {
    return columns.values.get(name)?.mean.findLast((value) => value !== null);
  }
}
