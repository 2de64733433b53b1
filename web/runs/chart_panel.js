// All line charts: which there are, their axis, and what they share (zoom, crosshair, smoothing).

import {element} from './shared/dom.js';
import {LineChart} from './line_chart.js';
import {chartsOf, GROUPS} from './metrics.js';
import {smooth} from './smoothing.js';

const COLOURS = 8;

export class ChartPanel {
  // groups: of each group's name, the element that its charts go into; onZoom(isZoomed).
  constructor(groups, {onZoom, say}) {
    this.groups = groups;
    this.onZoom = onZoom;
    this.say = say;
    this.axis = 'step';
    this.smoothing = 0;
    this.zoom = null;
    this.extent = [0, 1];
    this.shown = [];
    this.charts = new Map();  // by key
  }

  setAxis(axis) {
    this.axis = axis;
    this.setZoom(null);  // draws
  }

  setSmoothing(weight) {
    this.smoothing = weight;
    this.draw();
  }

  // range: [from, to] in numbers of the axis; null: all of it. Not closer than a ten-thousandth of it.
  setZoom(range) {
    if (range && range[1] - range[0] < 1e-4 * (this.extent[1] - this.extent[0])) return;
    this.zoom = range;
    this.onZoom(range !== null);
    this.draw();
  }

  // The crosshair stands at the same place in all charts; its values are shown where the pointer is.
  hover(x, where) {
    for (const chart of this.charts.values()) chart.showCross(x, chart === where);
  }

  // shown: [{data, run, colour}]
  show(shown) {
    this.shown = shown;
    const wanted = chartsOf(shown.map(({data}) => data));
    const keys = new Set(wanted.map(({key}) => key));
    for (const [key, chart] of this.charts) {
      if (keys.has(key)) continue;
      chart.element.remove();
      this.charts.delete(key);
    }
    for (const group of GROUPS) {
      const {root, charts} = this.groups.get(group);
      const here = wanted.filter((chart) => chart.group === group).map((chart) => {
        if (!this.charts.has(chart.key)) this.charts.set(chart.key, new LineChart(chart, this));
        this.charts.get(chart.key).chart = chart;
        return this.charts.get(chart.key).element;
      });
      const same = here.length === charts.children.length && here.every((one, i) => one === charts.children[i]);
      if (!same) charts.replaceChildren(...here);
      charts.hidden = here.length === 0;
      root.classList.toggle('without-charts', here.length === 0);
    }
    this.draw();
  }

  // From zero, or from where the earliest run begins if that is far, to the end of the longest.
  findExtent() {
    const ends = this.shown.flatMap(({data}) => {
      const places = data.places(data.steps, this.axis).filter((at) => at !== null);
      return places.length > 0 ? [places[0], places.at(-1)] : [];
    });
    const first = Math.min(...ends), last = Math.max(...ends);
    if (ends.length === 0) return [0, 1];
    const from = first < last * 0.05 ? 0 : first;
    return last > from ? [from, last] : [from - 0.5, from + 0.5];
  }

  draw() {
    const several = this.shown.length > 1;
    this.extent = this.findExtent();
    for (const chart of this.charts.values()) {
      const {lines, show} = chart.chart;
      chart.show(this.shown.flatMap(({data, run, colour}) => {
        if (!(show?.(data) ?? true)) return [];
        return lines.flatMap((line, i) => {
          const columns = data[line.of], values = columns.values.get(line.name);
          if (!values) return [];
          const raw = pad(values.mean, columns.length);
          return [{run: run.name, label: line.label, colour: several ? colour : (colour + i) % COLOURS, dash: several ? i % 5 : 0,
                   x: data.places(columns, this.axis), raw, y: line.exact ? raw : smooth(raw, this.smoothing),
                   low: values.low, high: values.high, dots: line.dots}];
        });
      }), several);
    }
  }
}

// A number that no longer comes has shorter lists than the others.
const pad = (values, length) => values.length < length ? values.concat(Array(length - values.length).fill(null)) : values;

// The sections of the page, one a group: {root, charts}.
export function groupSections(parent) {
  return new Map(GROUPS.map((name) => {
    const charts = element('div', {class: 'charts'});
    const root = element('section', {class: 'group', 'data-group': name}, element('h2', {}, name), charts);
    parent.append(root);
    return [name, {root, charts}];
  }));
}
