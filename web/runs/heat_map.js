// A picture of numbers in rows and columns around 1: less is blue, more is orange. What a cell is can be read with the
// pointer or the arrow keys.

import {element} from './shared/dom.js';

// From no share at all to four times it: -1 to 1.
const strength = (share) => share < 1 ? share - 1 : Math.min(1, Math.log2(share) / 2);

const rgb = (node) => getComputedStyle(node).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number);

// The key of all heat maps; its ends and its middle have the colours that the maps use.
export function legend() {
  return element('div', {class: 'heat-key'}, element('span', {class: 'ramp', role: 'img',
    'aria-label': 'Colours from no token at all over an even share to four times it and more'},
    ['low', 'middle', 'high'].map((name) => element('span', {class: `heat-${name}`}))),
    element('span', {class: 'marks', 'aria-hidden': 'true'}, ['0', '½', '1×', '2×', '4×'].map((mark) => element('span', {}, mark))));
}

export class HeatMap {
  // names: {title, across: what columns are, down: what rows are}; say(text) tells who cannot see it.
  constructor(names, key, say) {
    this.key = key;
    this.say = say;
    this.cell = null;
    this.canvas = element('canvas', {class: 'heat', tabindex: 0, role: 'img'});
    this.readout = element('p', {class: 'readout'});
    this.rowNames = element('div', {class: 'row-names', 'aria-hidden': 'true'});
    this.columnNames = element('div', {class: 'column-names', 'aria-hidden': 'true'});
    this.element = element('div', {class: 'heat-map', 'data-map': names.title},
      element('div', {class: 'heat-body'}, this.rowNames, this.canvas, this.columnNames),
      element('p', {class: 'axis-word'}, names.across), this.readout);
    this.names = names;
    this.values = [];
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const clamp = (value, most) => Math.min(Math.max(Math.floor(value), 0), most - 1);
      return [clamp((event.clientY - box.top) / box.height * this.values.length, this.values.length),
              clamp((event.clientX - box.left) / box.width * this.values[0].length, this.values[0].length)];
    };
    this.canvas.addEventListener('pointermove', (event) => this.values.length > 0 && this.point(...at(event)));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('blur', () => this.point(null));
    this.canvas.addEventListener('keydown', (event) => {
      const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      if (!step || this.values.length === 0) return;
      event.preventDefault();
      const [row, column] = this.cell ?? [0, -step[1]];
      this.point(Math.min(Math.max(row + step[0], 0), this.values.length - 1),
                 Math.min(Math.max(column + step[1], 0), this.values[0].length - 1));
      this.say(this.readout.textContent);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // values: rows of equally many numbers; describe(row, column) says what a cell is, summary what all of it is; rowNames and
  // columnNames: what stands beside it, a text or null for each.
  show({values, rowNames, columnNames, describe, summary}) {
    this.values = values;
    this.describe = describe;
    this.summary = summary;
    const names = (texts) => texts.map((text) => element('span', {}, text ?? ''));
    this.rowNames.replaceChildren(...names(rowNames));
    this.columnNames.replaceChildren(...names(columnNames));
    if (this.cell && (this.cell[0] >= values.length || this.cell[1] >= values[0].length)) this.cell = null;
    this.canvas.setAttribute('aria-label', `${this.names.title}: ${summary}. Arrow keys read cells.`);
    this.canvas.dataset.rows = values.length;
    this.canvas.dataset.columns = values[0].length;
    this.element.classList.toggle('tall', values.length > 12);
    this.point(...(this.cell ?? [null]));
  }

  point(row, column) {
    this.cell = row === null ? null : [row, column];
    this.readout.textContent = this.cell ? this.describe(row, column) : this.summary ?? '';
    this.draw();
  }

  draw() {
    const {canvas, values} = this;
    if (values.length === 0 || canvas.clientWidth === 0) return;
    const scale = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext('2d');
    const [low, middle, high] = ['low', 'middle', 'high'].map((name) => rgb(this.key.querySelector(`.heat-${name}`)));
    context.clearRect(0, 0, width, height);
    const rows = values.length, columns = values[0].length;
    // Gaps only where cells are large enough to have some.
    const gap = width / columns > 6 * scale && height / rows > 6 * scale ? scale : 0;
    values.forEach((row, r) => {
      const top = Math.round(r * height / rows), bottom = Math.round((r + 1) * height / rows);
      row.forEach((share, c) => {
        const left = Math.round(c * width / columns), right = Math.round((c + 1) * width / columns);
        const by = strength(share ?? 1), end = by < 0 ? low : high, part = Math.abs(by);
        const colour = middle.map((value, i) => Math.round(value + (end[i] - value) * part));
        context.fillStyle = `rgb(${colour.join(' ')})`;
        context.fillRect(left, top, right - left - gap, bottom - top - gap);
      });
    });
    if (!this.cell) return;
    const [row, column] = this.cell;
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineWidth = 2 * scale;
    context.strokeRect(column * width / columns, row * height / rows, width / columns - gap, height / rows - gap);
  }
}
