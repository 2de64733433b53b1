// A chart of lines over steps, tokens or time: a crosshair with the values, zooming by dragging, a logarithmic axis.

import {linear, logarithmic} from './shared/axis.js';
import {element, svg} from './shared/dom.js';
import {iconButton, setIcon} from './shared/icons.js';
import {count, duration, moment} from './format.js';

const RIGHT = 14, TOP = 8, BELOW = 40;
const NEAR = 12;  // pixels
const AXES = {step: 'step', tokens: 'tokens', time: 'time since the start'};
const TICK = {step: count, tokens: count, time: moment};
const PLACE = {
  step: (x) => `step ${Math.round(x).toLocaleString('en-US')}`,
  tokens: (x) => `${count(x)} tokens`,
  time: (x) => duration(x),
};
let clips = 0;

const usable = (value, log) => value !== null && value !== undefined && Number.isFinite(value) && (!log || value > 0);

// The index whose x is nearest; x ascends.
function nearest(x, wanted) {
  let low = 0, high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - x[low - 1] < x[low] - wanted ? low - 1 : low;
}

// An SVG path; where points are closer than pixels, each column of pixels has its least and most alone.
function pathOf(x, y, across, up, log) {
  let path = '', down = false, column = null, low = 0, high = 0;
  const to = (px, py) => {
    path += `${down ? 'L' : 'M'}${px.toFixed(1)} ${py.toFixed(1)}`;
    down = true;
  };
  const flush = () => {
    if (column === null) return;
    to(column, up.at(low));
    if (high !== low) to(column, up.at(high));
    column = null;
  };
  for (let i = 0; i < x.length; ++i) {
    if (!usable(y[i], log) || x[i] === null) {
      flush();
      down = false;
      continue;
    }
    const at = Math.round(across.at(x[i]) * 2) / 2;
    if (column !== null && at === column) {
      low = Math.min(low, y[i]);
      high = Math.max(high, y[i]);
      continue;
    }
    flush();
    [column, low, high] = [at, y[i], y[i]];
  }
  flush();
  return path;
}

function bandOf(x, low, high, across, up, log) {
  const above = [], below = [];
  for (let i = 0; i < x.length; ++i) {
    if (!usable(low[i], log) || !usable(high[i], log) || x[i] === null) continue;
    const at = across.at(x[i]).toFixed(1);
    above.push(`${at} ${up.at(high[i]).toFixed(1)}`);
    below.push(`${at} ${up.at(low[i]).toFixed(1)}`);
  }
  return above.length < 2 ? '' : `M${above.join('L')}L${below.reverse().join('L')}Z`;
}

// The range of what is seen. A few of the raw values may lie outside, so that one spike does not flatten the rest.
function rangeOf(lines, from, to, log) {
  let low = Infinity, high = -Infinity;
  const widen = (value) => {
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  for (const {x, y, raw, low: lows, high: highs} of lines) {
    const least = [], most = [];
    for (let i = 0; i < x.length; ++i) {
      if (x[i] === null || x[i] < from || x[i] > to) continue;
      if (usable(y[i], log)) widen(y[i]);
      if (lows && usable(lows[i], log)) least.push(lows[i]);
      if (highs && usable(highs[i], log)) most.push(highs[i]);
      if (!lows && raw !== y && usable(raw[i], log)) {
        least.push(raw[i]);
        most.push(raw[i]);
      }
    }
    if (least.length === 0 || most.length === 0) continue;
    const nearlyAll = (values, share) => values.sort((a, b) => a - b)[Math.round(share * (values.length - 1))];
    widen(nearlyAll(least, 0.01));
    widen(nearlyAll(most, 0.99));
  }
  return low <= high ? [low, high] : null;
}

export class LineChart {
  // view: {axis, extent, zoom, hover(x, chart), setZoom(range), say(text)} of all charts together; extent: from the first to the
  // last place that there is, zoom: what is seen of it, or null.
  constructor(chart, view) {
    this.chart = chart;
    this.view = view;
    this.lines = [];
    this.log = false;
    this.hidden = new Set();  // labels of lines
    this.at = null;  // x of the crosshair
    this.clip = `clip-${++clips}`;
    this.logButton = element('button', {type: 'button', class: 'log', 'aria-pressed': 'false', title: 'Logarithmic axis', onclick: () => {
      this.log = !this.log;
      this.logButton.setAttribute('aria-pressed', String(this.log));
      this.draw();
    }}, 'log');
    this.wideButton = iconButton('wider', `${chart.title}: larger`, () => {
      const wide = this.element.classList.toggle('wide');
      setIcon(this.wideButton, wide ? 'narrower' : 'wider', `${chart.title}: ${wide ? 'smaller' : 'larger'}`);
      this.draw();
    });
    this.legend = element('ul', {class: 'legend', 'aria-label': `Lines of ${chart.title}`});
    this.latest = element('span', {class: 'latest'});
    this.svg = svg('svg', {tabindex: 0, role: 'img'});
    this.tip = element('div', {class: 'tip', hidden: true});
    this.plot = element('div', {class: 'plot'}, this.svg, this.tip);
    this.element = element('figure', {class: 'chart', 'data-chart': chart.title},
      element('figcaption', {}, element('div', {class: 'names', title: chart.unit ? `${chart.title}, ${chart.unit}` : chart.title},
        element('h3', {}, chart.title), element('span', {class: 'unit'}, chart.unit)), this.latest,
              this.logButton, this.wideButton),
      this.legend, this.plot);
    this.listen();
    new ResizeObserver(() => this.plot.clientWidth !== this.drawn && this.draw()).observe(this.plot);
  }

  // lines: [{run, label, colour, dash, x, y, raw, low, high, dots}] of numbers, null where there is none; y: what is drawn in
  // full, raw: what it was smoothed from. several: whether they are of several runs.
  show(lines, several) {
    this.lines = lines;
    this.several = several;
    this.draw();
  }

  shown() {
    return this.lines.filter(({label}) => !this.hidden.has(label));
  }

  draw() {
    const width = this.drawn = this.plot.clientWidth;
    if (width === 0) return;  // it is not seen; the observer calls again
    this.drawLegend();
    const height = this.element.classList.contains('wide') ? 420 : 230;
    const lines = this.shown();
    const [from, to] = this.view.zoom ?? this.view.extent;
    const range = rangeOf(lines, from, to, this.log);
    const empty = range === null;
    let [low, high] = range ?? [0.1, 1];
    if (this.log) {
      if (high / low < 1.02) [low, high] = [low / 1.1, high * 1.1];
      else [low, high] = [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
    } else {
      // The log's numbers have six digits: what differs by less is the same.
      const same = high - low <= 1e-5 * Math.max(Math.abs(low), Math.abs(high));
      const margin = same ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.05;
      // What is never below zero is not shown there.
      [low, high] = [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
    }
    const bottom = height - BELOW;
    const scale = this.log ? logarithmic : linear;
    const ticks = scale(low, high, bottom, TOP).ticks(Math.max(3, Math.round(height / 60)));
    const left = 14 + 6.6 * Math.max(3, ...ticks.map((tick) => this.chart.format(tick).length));
    this.left = left;
    this.across = linear(from, to, left, width - RIGHT);
    this.up = scale(low, high, bottom, TOP);
    this.bottom = bottom;
    const {across, up} = this;

    const parts = [svg('clipPath', {id: this.clip}, svg('rect', {x: left, y: 0, width: width - RIGHT - left + 4, height: bottom + 2}))];
    for (const tick of ticks) {
      const y = up.at(tick);
      parts.push(svg('line', {x1: left, x2: width - RIGHT, y1: y, y2: y, class: 'grid'}),
                 svg('text', {x: left - 7, y: y + 4, 'text-anchor': 'end', class: 'tick'}, this.chart.format(tick)));
    }
    const {axis} = this.view;
    for (const tick of across.ticks(Math.max(2, Math.floor(width / 110)))) {
      parts.push(svg('text', {x: across.at(tick), y: bottom + 17, 'text-anchor': 'middle', class: 'tick'}, TICK[axis](tick)));
    }
    parts.push(svg('line', {x1: left, x2: width - RIGHT, y1: bottom, y2: bottom, class: 'axis'}),
               svg('text', {x: (left + width - RIGHT) / 2, y: bottom + 34, 'text-anchor': 'middle', class: 'axis-name'}, AXES[axis]));
    const drawing = svg('g', {'clip-path': `url(#${this.clip})`});
    for (const line of empty ? [] : lines) drawing.append(...this.drawLine(line));
    this.cross = svg('line', {class: 'cross', y1: TOP, y2: bottom, visibility: 'hidden'});
    this.marks = svg('g', {class: 'marks'});
    this.selection = svg('rect', {class: 'selection', y: TOP, height: bottom - TOP, width: 0, visibility: 'hidden'});
    parts.push(drawing, this.selection, this.cross, this.marks);
    if (empty) {
      parts.push(svg('text', {x: (left + width) / 2, y: bottom / 2, 'text-anchor': 'middle', class: 'axis-name'},
                     this.log ? 'nothing above zero here' : 'nothing here'));
    }
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.svg.setAttribute('width', width);
    this.svg.setAttribute('height', height);
    this.svg.setAttribute('aria-label', this.describe());
    this.svg.replaceChildren(...parts);
    const last = this.several ? null : lines[0]?.y.findLast((value) => value !== null);
    this.latest.textContent = last === null || last === undefined ? '' : this.chart.format(last);
    if (this.at !== null) this.showCross(this.at, !this.tip.hidden);
  }

  drawLine({colour, dash, x, y, raw, low, high, dots}) {
    const {across, up, log} = this;
    const kind = `s${colour} d${dash}`;
    const parts = [];
    if (low) parts.push(svg('path', {d: bandOf(x, low, high, across, up, log), class: `band s${colour}`}));
    else if (raw !== y) parts.push(svg('path', {d: pathOf(x, raw, across, up, log), class: `raw s${colour}`}));
    parts.push(svg('path', {d: pathOf(x, y, across, up, log), class: `line ${kind}`}));
    const seen = x.filter((at) => at !== null && at >= across.low && at <= across.high).length;
    if (seen < 2 || (dots && seen <= 60)) {
      x.forEach((at, i) => {
        if (at === null || !usable(y[i], log)) return;
        parts.push(svg('circle', {cx: across.at(at), cy: up.at(y[i]), r: 3, class: `dot s${colour}`}));
      });
    }
    return parts;
  }

  drawLegend() {
    const labels = [...new Set(this.lines.map(({label}) => label))];
    const key = JSON.stringify([labels, this.several, this.lines.map(({colour}) => colour)]);
    if (key === this.legendKey) return;
    this.legendKey = key;
    this.legend.hidden = labels.length < 2;
    this.legend.replaceChildren(...labels.map((label) => {
      const {colour, dash} = this.lines.find((line) => line.label === label);
      const button = element('button', {type: 'button', 'aria-pressed': String(!this.hidden.has(label)), onclick: () => {
        if (!this.hidden.delete(label)) this.hidden.add(label);
        button.setAttribute('aria-pressed', String(!this.hidden.has(label)));
        this.draw();
      }}, svg('svg', {viewBox: '0 0 22 8', class: 'key', 'aria-hidden': 'true'},
              svg('line', {x1: 1, x2: 21, y1: 4, y2: 4, class: `line ${this.several ? 'plain' : `s${colour}`} d${dash}`})), label);
      return element('li', {}, button);
    }));
  }

  // What the picture says, in words.
  describe() {
    const parts = this.shown().map(({run, label, y}) => {
      const values = y.filter((value) => value !== null);
      if (values.length === 0) return null;
      const {format} = this.chart;
      const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
      return `${this.several ? `${run}, ` : ''}${label}: now ${format(values.at(-1))}, between ${format(low)} and ${format(high)}`;
    }).filter(Boolean);
    const {title, unit} = this.chart;
    return `${title}${unit ? `, ${unit}` : ''}, over ${AXES[this.view.axis]}. ${parts.join('; ')}. Arrow keys read values, plus and minus zoom.`;
  }

  // The lines' values nearest to x.
  valuesAt(x) {
    return this.shown().flatMap((line) => {
      const places = line.x;
      if (places.length === 0) return [];
      const i = nearest(places, x);
      // A line whose next value is far away has nothing to say here.
      if (places[i] === null || Math.abs(this.across.at(places[i]) - this.across.at(x)) > NEAR || line.y[i] === null) return [];
      return [{...line, i, x: places[i], value: line.y[i], rawValue: line.raw[i]}];
    });
  }

  showCross(x, withTip) {
    this.at = x;
    if (!this.across) return;
    const inside = x !== null && x >= this.across.low && x <= this.across.high;
    this.cross.setAttribute('visibility', inside ? 'visible' : 'hidden');
    this.tip.hidden = !inside || !withTip;
    this.marks.replaceChildren();
    if (!inside) return;
    const px = this.across.at(x);
    this.cross.setAttribute('x1', px);
    this.cross.setAttribute('x2', px);
    const values = this.valuesAt(x);
    for (const {colour, x: at, value} of values) {
      if (!usable(value, this.log)) continue;
      const py = this.up.at(value);
      if (py >= 0 && py <= this.bottom) this.marks.append(svg('circle', {cx: this.across.at(at), cy: py, r: 3.5, class: `mark s${colour}`}));
    }
    if (withTip) this.showTip(px, x, values);
  }

  showTip(px, x, values) {
    const rows = values.slice(0, 12).map(({run, label, colour, value, rawValue}) => element('tr', {},
      element('th', {scope: 'row'}, element('span', {class: `swatch s${colour}`}),
              this.several ? (new Set(this.lines.map((line) => line.label)).size > 1 ? `${run}, ${label}` : run) : label),
      element('td', {}, this.chart.format(value)),
      element('td', {class: 'was'}, rawValue !== value ? this.chart.format(rawValue) : '')));
    this.tip.replaceChildren(element('p', {}, PLACE[this.view.axis](x)), element('table', {}, element('tbody', {}, rows)));
    const width = this.plot.clientWidth, own = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, px + 14 + own < width ? px + 14 : px - 14 - own)}px`;
  }

  sayValues() {
    const said = this.valuesAt(this.at).map(({run, label, value}) => `${this.several ? `${run}, ` : ''}${label} ${this.chart.format(value)}`);
    this.view.say(`${PLACE[this.view.axis](this.at)}: ${said.join(', ') || 'no value'}`);
  }

  // In the numbers of the axis, where the pointer is.
  pointed(event) {
    const box = this.svg.getBoundingClientRect();
    const pixel = Math.min(Math.max(event.clientX - box.left, this.left), box.width - RIGHT);
    return this.across.value(pixel);
  }

  listen() {
    let begin = null, beginPixel = 0;
    const show = (event) => {
      if (!this.across) return;
      // Where the nearest values are, not between them.
      const x = this.pointed(event), [first] = this.valuesAt(x);
      this.view.hover(first ? first.x : x, this);
    };
    this.svg.addEventListener('pointermove', (event) => {
      show(event);
      if (begin === null) return;
      const [a, b] = [begin, this.pointed(event)].sort((p, q) => p - q).map((x) => this.across.at(x));
      this.selection.setAttribute('x', a);
      this.selection.setAttribute('width', b - a);
      this.selection.setAttribute('visibility', 'visible');
    });
    this.svg.addEventListener('pointerleave', () => begin === null && this.view.hover(null, this));
    this.svg.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || !this.across) return;
      begin = this.pointed(event);
      beginPixel = event.clientX;
      this.svg.setPointerCapture(event.pointerId);
    });
    const end = (event) => {
      if (begin === null) return;
      const range = [begin, this.pointed(event)].sort((a, b) => a - b);
      begin = null;
      this.selection.setAttribute('visibility', 'hidden');
      if (event.type === 'pointerup' && Math.abs(event.clientX - beginPixel) > 6 && range[1] > range[0]) this.view.setZoom(range);
    };
    this.svg.addEventListener('pointerup', end);
    this.svg.addEventListener('pointercancel', end);
    this.svg.addEventListener('dblclick', () => this.view.setZoom(null));
    this.svg.addEventListener('blur', () => this.view.hover(null, this));
    this.svg.addEventListener('keydown', (event) => this.key(event));
  }

  key(event) {
    const line = this.shown().find(({x}) => x.length > 0);
    if (!line || !this.across || event.ctrlKey || event.metaKey || event.altKey) return;
    const {low, high} = this.across, middle = this.at ?? (low + high) / 2;
    const [first, last] = this.view.extent;
    const zoom = (factor) => {
      const range = [Math.max(middle - (middle - low) * factor, first), Math.min(middle + (high - middle) * factor, last)];
      this.view.setZoom(range[0] > first || range[1] < last ? range : null);
    };
    const go = (i) => {
      this.view.hover(line.x[Math.min(Math.max(i, 0), line.x.length - 1)], this);
      this.sayValues();
    };
    const now = this.at === null ? line.x.length : nearest(line.x, this.at);
    // A page of it is a tenth of what is seen.
    const seen = Math.max(1, Math.round(line.x.filter((x) => x >= low && x <= high).length / 10));
    const keys = {ArrowLeft: () => go(now - 1), ArrowRight: () => go(now + 1), PageUp: () => go(now - seen), PageDown: () => go(now + seen),
                  Home: () => go(0), End: () => go(line.x.length - 1), '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2),
                  0: () => this.view.setZoom(null), Escape: () => this.view.setZoom(null)};
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}

